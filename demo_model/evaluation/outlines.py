"""How well outlines of neighbouring frames agree, and paths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample


class Seen(Protocol):
    """An object in a frame: its mask (h, w), and its centre in pixels, None where there is no object."""

    @property
    def mask(self) -> np.ndarray: ...
    @property
    def center(self) -> tuple[float, float] | None: ...


def intersection_over_union(first: np.ndarray, second: np.ndarray) -> float:
    """Of two masks (h, w); 0 where both are empty."""
    return float((first & second).sum() / max(1, (first | second).sum()))


def neighbour_overlap(seen: Sequence[Seen]) -> float:
    """The mean overlap of neighbouring frames' outlines once they are moved onto each other's centre.

    A frame without an object overlaps with nothing; a frame alone is like itself.
    """
    if len(seen) < 2:
        return 1.0
    return float(np.mean([_centred_overlap(first, second) for first, second in pairwise(seen)]))


def _centred_overlap(first: Seen, second: Seen) -> float:
    if first.center is None or second.center is None:
        return 0.0
    height, width = second.mask.shape
    shift = [
        [1.0, 0.0, 2 * (second.center[0] - first.center[0]) / width],
        [0.0, 1.0, 2 * (second.center[1] - first.center[1]) / height],
    ]
    mask = torch.from_numpy(second.mask).float()[None, None]
    grid = affine_grid(torch.tensor([shift]), [1, 1, height, width], align_corners=False)
    moved = grid_sample(mask, grid, align_corners=False)[0, 0].numpy() > 0.5
    return intersection_over_union(first.mask, moved)


def path_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of two paths (n, 2) about their means, x and y together: 1 where they go alike."""
    one, other = first - first.mean(0), second - second.mean(0)
    length = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / length) if length else 0.0
