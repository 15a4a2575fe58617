"""An animated preview of a clip while it is being sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.preview import fit_colors, preview_frames, rough_frames

if TYPE_CHECKING:
    from animatediff_webui.session import Session


@dataclass
class Preview:
    """Called before each window: every `every` steps, `show` gets rough frames of the clip as it is by then.

    `decode` turns one latent `1 c h w` into its picture.
    """

    decode: Callable[[torch.Tensor], Image.Image]
    show: Callable[[Session, list[Image.Image]], None]
    every: int
    _last_step: int = 0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ParameterError(f"preview_every is {self.every}, but must be 1 or more.")

    def __call__(self, session: Session, estimate: torch.Tensor | None) -> None:
        if estimate is None or session.step == self._last_step or session.step % self.every:
            return
        self._last_step = session.step
        shown = estimate[list(preview_frames(len(estimate)))]
        middle = len(shown) // 2
        colors = fit_colors(shown[middle], self.decode(shown[middle : middle + 1]))
        self.show(session, rough_frames(shown, colors))
