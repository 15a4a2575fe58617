"""The noise a clip starts from: one seed per frame, and FreeNoise for clips longer than a window."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SEEDS = 2**64


def frame_seeds(seed: int, num_frames: int, first_frame: int = 0) -> tuple[int, ...]:
    """Frame i's seed, seed + i, for `num_frames` frames from `first_frame` on."""
    return tuple((seed + first_frame + index) % _SEEDS for index in range(num_frames))


def frame_noise(seeds: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """Normal noise `f ...`, each frame drawn from its own seed: any sub-range of a clip can be drawn again.

    Drawn on the CPU in float32, so that every device and dtype gets the same numbers.
    """
    import torch  # here, because a plan needs the orders below and not torch

    noise = torch.empty(len(seeds), *shape)
    for row, seed in zip(noise, seeds, strict=True):
        row.normal_(generator=torch.Generator().manual_seed(seed % _SEEDS))
    return noise


def free_noise_order(num_frames: int, window_size: int, window_hop: int, seed: int) -> tuple[int, ...]:
    """For each frame, which of the first `window_size` frames gives its noise (FreeNoise, arXiv 2310.15169).

    The first window keeps its own noise; from there on, every `window_hop` frames repeat, in shuffled order,
    the noise of as many frames one window earlier. So every window that starts at a multiple of the hop holds
    the very same noise, in another order. The hop is how far windows are apart: window size less overlap. A
    longer clip begins like a shorter one. Use as `noise[list(order)]`.
    """
    if not 1 <= window_hop <= window_size:
        raise ValueError(
            f"Expected a window hop from 1 to the window size ({window_size}), found {window_hop}."
        )
    shuffle = random.Random(seed).shuffle
    order = list(range(window_size))
    while len(order) < num_frames:
        start = len(order) - window_size
        block = order[start : start + window_hop]
        shuffle(block)
        order += block
    return tuple(order[:num_frames])
