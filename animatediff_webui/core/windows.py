"""Context windows: which frames the motion module sees together in one step, and how windows become one clip.

A clip longer than the context length is denoised window by window; the windows' predictions are averaged per
frame, with weights that sum to one. Everything here is plain integers, except `fuse`, which takes tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from . import loops

if TYPE_CHECKING:
    import torch

FrameIndices = tuple[int, ...]
BY_MEMORY = 0
"""In place of a number of windows that go through the UNet together: as many as there is memory for."""


@dataclass(frozen=True)
class Window:
    """Frames that one UNet call sees, in the order of the motion module's positions.

    `weights` are normalised: over all windows of a step, each frame's weights sum to one. `number` is its
    place among them. Of several windows joined, `num_windows` is how many, and the frames are theirs, one
    window after the other.
    """

    frames: FrameIndices
    weights: tuple[float, ...]
    number: int = field(default=0, compare=False)
    num_windows: int = 1

    @property
    def length(self) -> int:
        """Frames that the motion module sees together."""
        return len(self.frames) // self.num_windows


@dataclass(frozen=True)
class Span:
    """A window before it is spelled out: every `spacing`-th frame from `start` on, going round the clip."""

    start: int
    length: int
    spacing: int = 1

    def frames(self, num_frames: int) -> FrameIndices:
        """The indices in a clip of `num_frames`."""
        return tuple((self.start + index * self.spacing) % num_frames for index in range(self.length))

    def wraps(self, num_frames: int) -> bool:
        """Whether it goes round the end: its last frame then comes before its first."""
        last = self.start + (self.length - 1) * self.spacing
        return self.length > 1 and last % num_frames <= self.start % num_frames


@dataclass(frozen=True)
class ContextLayout:
    """What decides the windows of every step; `overlap` is resolved (0 to context_length - 1).

    Raises ValueError where the numbers do not fit together; `build_plan` has better words for users.
    """

    num_frames: int
    context_length: int
    stride: int = 1
    overlap: int = 0
    closed_loop: str = loops.NONE.name
    scheduler: str = "uniform"
    fuse: str = "flat"

    def __post_init__(self) -> None:
        sizes = (self.num_frames, self.context_length, self.stride)
        if min(sizes) < 1 or not 0 <= self.overlap < self.context_length:
            raise ValueError(f"Expected positive sizes and 0 <= overlap < context_length, found {self}.")

    @property
    def loop(self) -> loops.Loop:
        """What the loop mode means."""
        return loops.LOOPS[self.closed_loop]

    @property
    def window_hop(self) -> int:
        """Frames from one window's beginning to the next one's."""
        return self.context_length - self.overlap

    @property
    def is_circular(self) -> bool:
        """Whether windows wrap round the end everywhere, so that the clip has no end."""
        return self.loop.is_circular or SCHEDULERS[self.scheduler].is_circular

    @property
    def prompts_loop(self) -> bool:
        """Whether what changes from keyframe to keyframe goes on from the last to the first."""
        return self.loop.prompt_always_loops if self.is_single else self.loop.prompt_loops

    @property
    def is_single(self) -> bool:
        """Whether one window holds all frames."""
        return self.num_frames <= self.context_length


def build_windows(layout: ContextLayout, step: int) -> tuple[Window, ...]:
    """The windows of one denoising step, with weights."""
    return _weighted([span.frames(layout.num_frames) for span in build_spans(layout, step)], layout)


def build_spans(layout: ContextLayout, step: int) -> list[Span]:
    """The windows of one denoising step, without weights.

    A loop that rotates begins with its second step's rotation: the first one has a window's ends where the
    file ends, and the first step decides most.
    """
    if layout.loop.rotates:
        step += 1
    if layout.is_single:
        return [Span(_loop_offset(layout, step), layout.num_frames)]
    return SCHEDULERS[layout.scheduler].spans(layout, step)


def halving_fraction(step: int) -> float:
    """The bit-reversed fraction of `step`: 0, 1/2, 1/4, 3/4, 1/8, ... (van der Corput's sequence)."""
    fraction, bit = 0.0, 0.5
    while step:
        fraction += bit * (step & 1)
        step >>= 1
        bit /= 2
    return fraction


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


def _uniform(layout: ContextLayout, step: int) -> list[Span]:
    """AnimateDiff-CLI's scheduler: windows at spacings 1, 2, 4, ..., moved by a part of the clip per step.

    In a loop whose windows may not wrap, only windows of neighbouring frames are kept from it: wider spacings
    may wrap.
    """
    num_frames, size = layout.num_frames, layout.context_length
    fraction = halving_fraction(step)
    pad = round(num_frames * fraction)
    end = num_frames + pad - (0 if layout.is_circular else layout.overlap)
    may_wrap = layout.is_circular or layout.loop.windows_may_wrap
    num_levels = min(layout.stride, math.ceil(math.log2(num_frames / size)) + 1)
    spans: list[Span] = []
    for level in range(num_levels):
        spacing = 2**level
        starts = range(int(fraction * spacing) + pad, end, size * spacing - layout.overlap)
        spaced = _spaced(starts, spacing, layout)
        spans += spaced if may_wrap or level > 0 else _unwrapped(spaced, layout)
    return spans


def _spaced(starts: Iterable[int], spacing: int, layout: ContextLayout) -> list[Span]:
    """Every `spacing`-th frame from each of `starts` on, but never past where the window began."""
    length = min(layout.context_length, math.ceil(layout.num_frames / spacing))
    return [Span(start % layout.num_frames, length, spacing) for start in starts]


def _unwrapped(spans: Iterable[Span], layout: ContextLayout) -> list[Span]:
    """`spans`, where each that wraps round the end is replaced by the clip's last and first frames."""
    size = layout.context_length
    head, tail = Span(0, size), Span(layout.num_frames - size, size)
    unwrapped: dict[Span, None] = {}
    for span in spans:
        replacements = (tail, head) if span.wraps(layout.num_frames) else (span,)
        unwrapped |= dict.fromkeys(replacements)
    return list(unwrapped)


def _standard_static(layout: ContextLayout, step: int) -> list[Span]:
    """The same windows in every step, the last one shifted left to fit.

    In a circular clip the last one wraps instead, and in one that rotates all of them begin at another frame.
    """
    num_frames, hop = layout.num_frames, layout.window_hop
    if layout.is_circular:
        offset = _loop_offset(layout, step)
        return _spaced(range(offset, offset + num_frames, hop), 1, layout)
    last = num_frames - layout.context_length
    return _spaced((*range(0, last, hop), last), 1, layout)


def _batched(layout: ContextLayout, step: int) -> list[Span]:
    """As few windows as possible, each frame in one of them, lengths as even as possible.

    Even lengths, because a last window of one or two frames would not move.
    """
    num_frames, offset = layout.num_frames, _loop_offset(layout, step)
    count = math.ceil(num_frames / layout.context_length)
    bounds = [index * num_frames // count for index in range(count + 1)]
    return [Span((offset + start) % num_frames, end - start) for start, end in pairwise(bounds)]


@dataclass(frozen=True)
class WindowScheduler:
    """How windows are laid over a clip; `is_circular`: they always go round its end."""

    spans: Callable[[ContextLayout, int], list[Span]]
    is_circular: bool = False


SCHEDULERS: Mapping[str, WindowScheduler] = {
    "uniform": WindowScheduler(_uniform),
    "standard static": WindowScheduler(_standard_static),
    "looped uniform": WindowScheduler(_uniform, is_circular=True),
    "batched": WindowScheduler(_batched),
}


def _loop_offset(layout: ContextLayout, step: int) -> int:
    """The frame that windows begin at: in a loop that rotates, another one in each step, else 0.

    This is what makes a loop seamless where one window holds the whole clip. The motion module knows frames
    by their position in the window, so the frames at the window's two ends are the two it takes to be
    farthest apart: that is the seam. Were the window the same in each step, frames N - 1 and 0 would be the
    seam every time. Rotating it hands the seam to another pair in each step, and in all the other steps the
    model sees the pair as neighbours and makes them fit. Bit-reversed offsets (0, 1/2, 1/4, 3/4, ...) spread
    the seam evenly, however few steps there are, and visit N frames before any comes twice where N is a
    power of two. No extra UNet call is made.
    """
    if not layout.loop.rotates:
        return 0
    return round(layout.num_frames * halving_fraction(step)) % layout.num_frames


def _flat(length: int, overlap: int) -> list[float]:
    return [1.0] * length


def _pyramid(length: int, overlap: int) -> list[float]:
    """1, 2, 3, ... from both ends to the middle."""
    return [float(min(index, length - 1 - index) + 1) for index in range(length)]


def _overlap_linear(length: int, overlap: int) -> list[float]:
    return [min(1.0, height / (overlap + 1)) for height in _pyramid(length, overlap)]


FUSE_WEIGHTS: Mapping[str, Callable[[int, int], list[float]]] = {
    "flat": _flat,
    "pyramid": _pyramid,
    "overlap-linear": _overlap_linear,
}


def _weighted(frames: Sequence[FrameIndices], layout: ContextLayout) -> tuple[Window, ...]:
    """Windows whose weights sum to one for each frame."""
    weights_of = FUSE_WEIGHTS[layout.fuse]
    raw = [weights_of(len(window), layout.overlap) for window in frames]
    totals = [0.0] * layout.num_frames
    for window, weights in zip(frames, raw, strict=True):
        for frame, weight in zip(window, weights, strict=True):
            totals[frame] += weight
    windows: list[Window] = []
    for window, weights in zip(frames, raw, strict=True):
        shares = [weight / totals[frame] for frame, weight in zip(window, weights, strict=True)]
        windows.append(Window(window, tuple(shares), len(windows)))
    return tuple(windows)
