"""The windowed model call: which frames a call's rows are, and the UNet run window by window.

Nothing here reads an option of the host: the layout comes from the tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.windows import Window, fuse

ModelCall = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class RowLayout:
    """What the rows of one call are.

    `parts` is how many prompts `AND` joins. The rows of the prompt come first, frame by frame with all parts
    of a frame together, and then `others` groups (negative prompt, edit models' third), each of all frames.
    """

    num_frames: int
    parts: int
    others: int

    @property
    def num_groups(self) -> int:
        return self.parts + self.others

    def grouped(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows as `g f ...`, each group one whole clip."""
        split = self.parts * self.num_frames
        prompt = rearrange(rows[:split], "(f g) ... -> g f ...", g=self.parts) if self.parts else rows[:0]
        rest = rows[split : self.num_groups * self.num_frames]
        if not self.parts:
            return rearrange(rest, "(g f) ... -> g f ...", f=self.num_frames)
        return torch.cat([prompt, rearrange(rest, "(g f) ... -> g f ...", f=self.num_frames)])

    def ungrouped(self, groups: torch.Tensor) -> torch.Tensor:
        """The inverse of `grouped`."""
        prompt = rearrange(groups[: self.parts], "g f ... -> (f g) ...")
        return torch.cat([prompt, rearrange(groups[self.parts :], "g f ... -> (g f) ...")])


def read_layout(num_rows: int, num_frames: int, parts: int = 1) -> RowLayout:
    """The layout of a call with `num_rows` rows.

    With one prompt part, and in a call of fewer rows than the prompt's parts have, groups follow one another.
    Raises UserError where the rows are no whole number of clips.
    """
    if num_rows % num_frames:
        raise UserError(
            f"The model was called with {num_rows} rows for a clip of {num_frames} frames: switch off the "
            "extension that splits or adds pictures, or lower the number of frames."
        )
    groups = num_rows // num_frames
    if parts > 1 and groups >= parts:
        return RowLayout(num_frames, parts, groups - parts)
    return RowLayout(num_frames, 0, groups)


class WindowedModel:
    """`apply_model(x, t, cond)` over the windows of a step.

    `windows` gives the windows of the current step, `call` runs the host's own `apply_model` on the rows of
    one window, and `between` is called with the windows done and the number of all of them, before each and
    after the last; it may raise.
    """

    def __init__(
        self,
        call: ModelCall,
        num_frames: int,
        windows: Callable[[], Sequence[Window]],
        *,
        parts: Callable[[], int] = lambda: 1,
        between: Callable[[int, int], None] = lambda done, total: None,
        framed: Callable[[Window], Any],
    ) -> None:
        self.call, self.num_frames, self.windows = call, num_frames, windows
        self.parts, self.between, self.framed = parts, between, framed

    def __call__(
        self, x: torch.Tensor, t: torch.Tensor, cond: Any, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        layout = read_layout(len(x), self.num_frames, self.parts())
        windows = self.windows()
        predictions = self._predictions(layout, windows, (x, t, cond), args, kwargs)
        fused = fuse(windows, predictions, self.num_frames)
        return layout.ungrouped(fused.unflatten(0, (layout.num_groups, self.num_frames)))

    def _predictions(
        self, layout: RowLayout, windows: Sequence[Window], inputs: Any, args: Any, kwargs: Any
    ) -> Iterator[torch.Tensor]:
        """Each window's prediction, `(g l) ...`; one exists at a time."""
        for index, window in enumerate(windows):
            self.between(index, len(windows))
            x, t, cond = (gather_rows(value, layout, window, len(inputs[0])) for value in inputs)
            with self.framed(window):
                yield self.call(x, t, cond, *args, **kwargs)
        self.between(len(windows), len(windows))


def gather_rows(value: Any, layout: RowLayout, window: Window, num_rows: int) -> Any:
    """`value` (a tensor, or a dict or list of them) with the window's rows; what has other rows stays.

    Conditioning may have more rows than the latents: where the host leaves out the negative prompt, it does
    not shorten the image conditioning.
    """
    if isinstance(value, dict):
        return {key: gather_rows(each, layout, window, num_rows) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [gather_rows(each, layout, window, num_rows) for each in value]
    if not isinstance(value, torch.Tensor) or value.ndim == 0 or len(value) < num_rows:
        return value
    return layout.grouped(value[:num_rows])[:, list(window.frames)].flatten(0, 1)
