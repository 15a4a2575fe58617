"""A model call over the windows of a step: which frames a call's rows are, and how windows become one.

Nothing here reads an option of a host: the layout comes from the tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from einops import rearrange

from .errors import UserError
from .window_batches import WindowBatches
from .windows import Window, fuse

T = TypeVar("T")


class SamplingStoppedError(Exception):
    """Sampling was asked to stop between two windows."""


@dataclass(frozen=True)
class RowLayout:
    """What the rows of one call are.

    `num_conds` is how many prompts `AND` joins. Their rows come first, frame by frame with all of a frame
    together, and then `num_unconds` groups (negative prompt, edit models' third), each of all frames.
    """

    num_frames: int
    num_conds: int
    num_unconds: int

    @property
    def num_groups(self) -> int:
        return self.num_conds + self.num_unconds

    def grouped(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows as `g f ...`, each group one whole clip."""
        split = self.num_conds * self.num_frames
        unconds = rearrange(
            rows[split : self.num_groups * self.num_frames], "(g f) ... -> g f ...", f=self.num_frames
        )
        if not self.num_conds:
            return unconds
        conds = rearrange(rows[:split], "(f g) ... -> g f ...", g=self.num_conds)
        return torch.cat([conds, unconds])

    def ungrouped(self, groups: torch.Tensor) -> torch.Tensor:
        """The inverse of `grouped`."""
        unconds = rearrange(groups[self.num_conds :], "g f ... -> (g f) ...")
        if not self.num_conds:
            return unconds
        conds = rearrange(groups[: self.num_conds], "g f ... -> (f g) ...")
        return torch.cat([conds, unconds])


def read_layout(num_rows: int, num_frames: int, num_conds: int = 1) -> RowLayout:
    """The layout of a call with `num_rows` rows.

    With one prompt, and in a call of fewer rows than the joined prompts have, groups follow one another.
    Raises UserError where the rows are no whole number of clips.
    """
    if num_rows % num_frames:
        raise UserError(
            f"The model was called with {num_rows} rows for a clip of {num_frames} frames: switch off the "
            "extension that splits or adds pictures, or lower the number of frames."
        )
    groups = num_rows // num_frames
    if num_conds > 1 and groups >= num_conds:
        return RowLayout(num_frames, num_conds, groups - num_conds)
    return RowLayout(num_frames, 0, groups)


def gather_rows(value: T, layout: RowLayout, window: Window, num_rows: int) -> T:
    """`value` (a tensor, or dicts and lists of them) with the window's rows; what has fewer rows stays.

    Conditioning may have more rows than the latents: where a host leaves out the negative prompt, it does
    not shorten the image conditioning.
    """
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return cast("T", {key: gather_rows(item, layout, window, num_rows) for key, item in items})
    if isinstance(value, (list, tuple)):
        sequence = cast("Sequence[object]", value)
        return cast("T", [gather_rows(item, layout, window, num_rows) for item in sequence])
    if not isinstance(value, torch.Tensor) or value.ndim == 0 or len(value) < num_rows:
        return value
    return cast("T", layout.grouped(value[:num_rows])[:, list(window.frames)].flatten(0, 1))


def predict_windows(
    call: Callable[[T, Window], torch.Tensor],
    rows: T,
    layout: RowLayout,
    windows: Sequence[Window],
    before_window: Callable[[int, int], None] = lambda done, total: None,
    *,
    batches: WindowBatches | None = None,
    device: torch.device | None = None,
) -> torch.Tensor:
    """What the model predicts for the rows of a whole step: the windows' predictions, fused.

    `rows` are the call's inputs (tensors, or dicts and lists of them), of which the first axis is the rows;
    `call` gets those of one window, or of several joined, as `batches` has them. `before_window` is called
    with the windows done and the number of all of them, before each and after the last; before several go
    together, it is called for each of them. It may raise. `device` is where the prediction is gathered.
    """
    begun, num_rows = 0, layout.num_groups * layout.num_frames

    def call_window(window: Window) -> torch.Tensor:
        nonlocal begun
        last = window.number + window.num_windows
        for number in range(begun, last):  # a window that is tried again has begun
            before_window(number, len(windows))
        begun = max(begun, last)
        return call(gather_rows(rows, layout, window, num_rows), window)

    def predictions() -> Iterator[torch.Tensor]:
        yield from (batches or WindowBatches()).predict(call_window, windows)
        before_window(len(windows), len(windows))

    fused = fuse(windows, predictions(), layout.num_frames, device=device)
    return layout.ungrouped(rearrange(fused, "(g f) ... -> g f ...", f=layout.num_frames))


def scaled_guidance(prediction: torch.Tensor, ratio: float, prompt: slice, negative: slice) -> torch.Tensor:
    """A prediction of rows with which guidance at a host's scale is as guidance at `ratio` times that.

    Guidance is n + scale (p - n) of the prompt's rows p and the negative prompt's n (Ho & Salimans, arXiv
    2207.12598), so that p becomes n + ratio (p - n). Of several joined prompts, each does.
    """
    if ratio == 1:
        return prediction
    guided = prediction.clone()
    unguided = prediction[negative]
    conds = rearrange(prediction[prompt], "(f g) ... -> g f ...", f=len(unguided))
    guided[prompt] = rearrange(unguided + ratio * (conds - unguided), "g f ... -> (f g) ...")
    return guided
