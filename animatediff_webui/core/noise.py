"""The noise a clip starts from: one seed per frame, and FreeNoise for clips longer than a window."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SEEDS = 2**64


def frame_seeds(seed: int, num_frames: int, first_frame: int = 0, offset: int = 1) -> tuple[int, ...]:
    """Frame i's seed, seed + offset i, for `num_frames` frames from `first_frame` on."""
    return tuple((seed + offset * (first_frame + index)) % _SEEDS for index in range(num_frames))


def frame_noise(seeds: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """Normal noise `f ...`, each frame drawn from its own seed: any sub-range of a clip can be drawn again.

    Drawn on the CPU in float32, so that every device and dtype gets the same numbers.
    """
    import torch  # here, because a plan needs the orders below and not torch

    noise = torch.empty(len(seeds), *shape)
    for row, seed in zip(noise, seeds, strict=True):
        row.normal_(generator=torch.Generator().manual_seed(seed % _SEEDS))
    return noise


def _own_order(num_frames: int, context_length: int) -> tuple[int, ...]:
    return tuple(range(num_frames))


def _constant_order(num_frames: int, context_length: int) -> tuple[int, ...]:
    return (0,) * num_frames


def _repeated_order(num_frames: int, context_length: int) -> tuple[int, ...]:
    return tuple(frame % context_length for frame in range(num_frames))


DEFAULT_NOISE = "default"
NOISE_TYPES: Mapping[str, Callable[[int, int], tuple[int, ...]]] = {
    DEFAULT_NOISE: _own_order,
    "constant": _constant_order,
    "repeated": _repeated_order,
}
"""For a number of frames and a window's size: whose noise each frame starts from."""


def mixed_noise(own: torch.Tensor, order: Sequence[int], weights: torch.Tensor) -> torch.Tensor:
    """The noise `f c h w` that frames start from, as strong as each one's own.

    `order` says whose noise each frame takes, `weights` `f 1 h w`, or with axes of one, how much that counts
    beside its own, from 0 to 1. w a + (1 - w) b is normal noise again when it is divided by the root of
    w^2 + (1 - w)^2.
    """
    mixed = weights * own[list(order)] + (1 - weights) * own
    mixed = mixed / (weights**2 + (1 - weights) ** 2).sqrt()
    for frame, source in enumerate(order):
        if frame == source:
            mixed[frame] = own[frame]
    return mixed


def free_noise_order(num_frames: int, context_length: int, window_hop: int, seed: int) -> tuple[int, ...]:
    """Which of the first `context_length` frames gives each frame its noise (FreeNoise, arXiv 2310.15169).

    The first window keeps its own noise; from there on, every `window_hop` frames repeat, in shuffled order,
    the noise of as many frames one window earlier. So every window that starts at a multiple of the hop holds
    the very same noise, in another order. The hop is how far windows are apart: context length less overlap.
    A longer clip begins like a shorter one. Use as `noise[list(order)]`.
    """
    if not 1 <= window_hop <= context_length:
        raise ValueError(
            f"Expected a window hop from 1 to the context length ({context_length}), found {window_hop}."
        )
    shuffle = random.Random(seed).shuffle
    order = list(range(context_length))
    while len(order) < num_frames:
        start = len(order) - context_length
        block = order[start : start + window_hop]
        shuffle(block)
        order += block
    return tuple(order[:num_frames])
