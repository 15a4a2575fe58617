"""Context windows: which frames the motion module sees together in one step, and how windows become one clip.

A clip longer than the motion module's context is denoised window by window; the windows' predictions are
averaged per frame, with weights that sum to one. Everything here is plain integers, except `gather` and
`fuse`, which take tensors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from .parameters import ClosedLoop, FuseWeights, Scheduler

Frames = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """Frames that one UNet call sees, in the order of the motion module's positions.

    `weights` are normalised: over all windows of a step, each frame's weights sum to one.
    """

    frames: Frames
    weights: tuple[float, ...]


@dataclass(frozen=True)
class ContextLayout:
    """What decides the windows of every step; `overlap` is resolved (0 to window_size - 1).

    Raises ValueError where the numbers do not fit together; `build_plan` has better words for users.
    """

    num_frames: int
    window_size: int
    stride: int = 1
    overlap: int = 0
    closed_loop: ClosedLoop = "N"
    scheduler: Scheduler = "uniform"
    fuse: FuseWeights = "flat"

    def __post_init__(self) -> None:
        sizes = (self.num_frames, self.window_size, self.stride)
        if min(sizes) < 1 or not 0 <= self.overlap < self.window_size:
            raise ValueError(f"Expected positive sizes and 0 <= overlap < window_size, found {self}.")

    @property
    def is_circular(self) -> bool:
        """Whether windows wrap round the end everywhere, so that the clip has no end."""
        return self.closed_loop in ("A", "Seamless") or self.scheduler == "looped uniform"

    @property
    def is_single(self) -> bool:
        """Whether one window holds all frames."""
        return self.num_frames <= self.window_size


def build_windows(layout: ContextLayout, step: int) -> tuple[Window, ...]:
    """The windows of one denoising step, with weights.

    A seamless loop begins with its second step's rotation: the first one has a window's ends where the file
    ends, and the first step decides most.
    """
    if layout.closed_loop == "Seamless":
        step += 1
    if layout.is_single:
        frames = [rotated_frames(layout.num_frames, step if layout.closed_loop == "Seamless" else 0)]
    else:
        frames = SCHEDULERS[layout.scheduler](layout, step)
    return _weighted(frames, layout)


def rotated_frames(num_frames: int, step: int) -> Frames:
    """All frames, beginning at the offset that the bit-reversed fraction of `step` gives.

    This is what makes a loop seamless where one window holds the whole clip. The motion module knows frames
    by their position in the window, so the frames at the window's two ends are the two it takes to be
    farthest apart: that is the seam. Were the window the same in each step, frames N - 1 and 0 would be the
    seam every time. Rotating it hands the seam to another pair in each step, and in all the other steps the
    model sees the pair as neighbours and makes them fit. Bit-reversed offsets (0, 1/2, 1/4, 3/4, ...) spread
    the seam evenly, however few steps there are, and visit N frames before any comes twice where N is a
    power of two. No extra UNet call is made.
    """
    offset = _rotation(num_frames, step)
    return tuple((offset + index) % num_frames for index in range(num_frames))


def halving_fraction(step: int) -> float:
    """The bit-reversed fraction of `step`: 0, 1/2, 1/4, 3/4, 1/8, ... (van der Corput's sequence)."""
    fraction, place = 0.0, 0.5
    while step:
        fraction += place * (step & 1)
        step >>= 1
        place /= 2
    return fraction


def gather(rows: torch.Tensor, window: Window, num_frames: int) -> torch.Tensor:
    """The window's rows `(g l) ...` of `(g f) ...`: every group's frames, in the window's order.

    Raises ValueError if the rows are no whole number of clips.
    """
    if len(rows) % num_frames:
        raise ValueError(f"Expected rows for clips of {num_frames} frames, found {len(rows)} rows.")
    groups = rows.reshape(-1, num_frames, *rows.shape[1:])
    return groups[:, list(window.frames)].flatten(0, 1)


def fuse(
    windows: Sequence[Window],
    predictions: Iterable[torch.Tensor],
    num_frames: int,
    *,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """The weighted mean `(g f) ...` of the windows' predictions `(g l) ...`, accumulated in float32.

    `predictions` may be a generator, so that only one window's prediction exists at a time; `device` is
    where the result is gathered (default: where the predictions are).
    """
    total: torch.Tensor | None = None
    dtype = None
    for window, prediction in zip(windows, predictions, strict=True):
        part = prediction.to(device or prediction.device)
        part = part.reshape(-1, len(window.frames), *part.shape[1:])
        if total is None:
            dtype = prediction.dtype
            total = part.new_zeros((part.shape[0], num_frames, *part.shape[2:])).float()
        weights = total.new_tensor(window.weights).reshape(-1, *[1] * (part.ndim - 2))
        total[:, list(window.frames)] += weights * part.float()
    if total is None:
        raise ValueError("Expected at least one window, found none.")
    return total.flatten(0, 1).to(dtype)


def _uniform(layout: ContextLayout, step: int) -> list[Frames]:
    """AnimateDiff-CLI's scheduler: windows at spacings 1, 2, 4, ..., moved by a part of the clip per step.

    A layout for "looped uniform" is circular whatever its loop mode says; that is all the difference. In
    loop mode N only windows of neighbouring frames are kept from wrapping: wider spacings may wrap.
    """
    num_frames, size = layout.num_frames, layout.window_size
    fraction = halving_fraction(step)
    pad = round(num_frames * fraction)
    end = num_frames + pad - (0 if layout.is_circular else layout.overlap)
    may_wrap = layout.is_circular or layout.closed_loop != "N"
    found: list[Frames] = []
    for level in range(min(layout.stride, math.ceil(math.log2(num_frames / size)) + 1)):
        spacing = 2**level
        starts = range(int(fraction * spacing) + pad, end, size * spacing - layout.overlap)
        windows = [_spaced(start, spacing, layout) for start in starts]
        found += windows if may_wrap or level > 0 else _unwrapped(windows, layout)
    return found


def _spaced(start: int, spacing: int, layout: ContextLayout) -> Frames:
    """Every `spacing`-th frame from `start` on, going round, but never past where the window began."""
    count = min(layout.window_size, math.ceil(layout.num_frames / spacing))
    return tuple((start + index * spacing) % layout.num_frames for index in range(count))


def _unwrapped(windows: Iterable[Frames], layout: ContextLayout) -> list[Frames]:
    """`windows`, where each that wraps round the end is replaced by the clip's last and first frames."""
    head = tuple(range(layout.window_size))
    tail = tuple(range(layout.num_frames - layout.window_size, layout.num_frames))
    pairs = ((window,) if window[0] < window[-1] or len(window) == 1 else (tail, head) for window in windows)
    return list(dict.fromkeys(window for pair in pairs for window in pair))


def _standard_static(layout: ContextLayout, step: int) -> list[Frames]:
    """The same windows in every step, the last one shifted left to fit.

    In a circular clip the last one wraps instead, and in a seamless one all of them rotate, see
    `rotated_frames`.
    """
    num_frames, size = layout.num_frames, layout.window_size
    hop = size - layout.overlap
    if layout.is_circular:
        offset = _rotation(num_frames, step) if layout.closed_loop == "Seamless" else 0
        return [_spaced(offset + start, 1, layout) for start in range(0, num_frames, hop)]
    last = num_frames - size
    return [_spaced(start, 1, layout) for start in (*range(0, last, hop), last)]


def _batched(layout: ContextLayout, step: int) -> list[Frames]:
    """As few windows as possible, each frame in one of them, lengths as even as possible.

    Even lengths, because a last window of one or two frames would not move.
    """
    num_frames = layout.num_frames
    order = rotated_frames(num_frames, step if layout.closed_loop == "Seamless" else 0)
    count = math.ceil(num_frames / layout.window_size)
    bounds = [index * num_frames // count for index in range(count + 1)]
    return [order[start:end] for start, end in itertools.pairwise(bounds)]


SCHEDULERS: dict[str, Callable[[ContextLayout, int], list[Frames]]] = {
    "uniform": _uniform,
    "standard static": _standard_static,
    "looped uniform": _uniform,
    "batched": _batched,
}


def _rotation(num_frames: int, step: int) -> int:
    return round(num_frames * halving_fraction(step)) % num_frames


def _flat(length: int, overlap: int) -> list[float]:
    return [1.0] * length


def _pyramid(length: int, overlap: int) -> list[float]:
    return [float(min(index, length - 1 - index) + 1) for index in range(length)]


def _overlap_linear(length: int, overlap: int) -> list[float]:
    return [min(1.0, (min(index, length - 1 - index) + 1) / (overlap + 1)) for index in range(length)]


FUSE_WEIGHTS: dict[str, Callable[[int, int], list[float]]] = {
    "flat": _flat,
    "pyramid": _pyramid,
    "overlap-linear": _overlap_linear,
}


def _weighted(frames: Sequence[Frames], layout: ContextLayout) -> tuple[Window, ...]:
    """Windows whose weights sum to one for each frame."""
    raw = [FUSE_WEIGHTS[layout.fuse](len(window), layout.overlap) for window in frames]
    totals = [0.0] * layout.num_frames
    for window, weights in zip(frames, raw, strict=True):
        for frame, weight in zip(window, weights, strict=True):
            totals[frame] += weight
    return tuple(
        Window(window, tuple(weight / totals[frame] for frame, weight in zip(window, weights, strict=True)))
        for window, weights in zip(frames, raw, strict=True)
    )
