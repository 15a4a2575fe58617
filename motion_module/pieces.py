"""How much of a clip goes through a layer at once.

Too much misses a CPU's caches, too little costs calls, and how much that is differs between machines:
the first pieces of a kind are of several sizes and timed, all others of the quickest one. What the layers
give does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import torch
from torch import Tensor

from motion_module.trials import Trial

CPU_SIZES = tuple(int(mebibytes * 2**20) for mebibytes in (0.75, 1.5, 3, 6))
"""Bytes of a piece's tokens."""
GPU_SIZES = (24 * 2**20,)
"""A GPU is the quicker, the larger the pieces are: this one takes half a gigabyte while it runs."""
MOST_ROWS = 65_535
"""CUDA's limit on a grid's second and third axes, which attention kernels map the rows to."""

Kind = tuple[torch.device, torch.dtype, int, int]


class Pieces:
    """The pieces of clips, and what is known of their sizes."""

    def __init__(self) -> None:
        self._trials: dict[Kind, Trial[int]] = {}

    def split(self, clips: Tensor) -> Iterator[Tensor]:
        """Views of `b f c p`, each of whole clips or of places of one; asking for the next ends a timing."""
        num_frames, channels = clips.shape[1:3]
        sizes = CPU_SIZES if clips.device.type == "cpu" else GPU_SIZES
        trial = self._trials.setdefault((clips.device, clips.dtype, channels, num_frames), Trial(sizes))
        row, num_rows = 0, len(clips) * clips.shape[-1]
        while row < num_rows:
            size = trial.choose()
            piece = _cut(clips, row, size // (num_frames * channels * clips.element_size()))
            began, rows = perf_counter(), len(piece) * piece.shape[-1]
            yield piece
            trial.note(size, (perf_counter() - began) / rows)
            row += rows


def _cut(clips: Tensor, row: int, num_rows: int) -> Tensor:
    """From a row of `(b p)` on, about so many of `b f c p`: whole clips, if they fit, or places of one."""
    num_rows = min(max(num_rows, 1), MOST_ROWS)
    clip, place = divmod(row, clips.shape[-1])
    num_clips = num_rows // clips.shape[-1]
    if place == 0 and num_clips:
        return clips[clip : clip + num_clips]
    return clips[clip : clip + 1, ..., place : place + num_rows]
