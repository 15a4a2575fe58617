"""An animated preview of a clip while it is being sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import torch
from PIL import Image

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.preview import fit_colors, preview_frames, rough_frames

if TYPE_CHECKING:
    from animatediff_webui.session import Session

PreviewListener: TypeAlias = "Callable[[Session, list[Image.Image]], None]"


@dataclass
class Preview:
    """Called before each window: every `every` steps, `show` gets rough frames of the clip as it is by then.

    `decode` turns one latent `1 c h w` into its picture. Where it cannot, there is no preview, and `problem`
    says why: the clip goes on without.
    """

    decode: Callable[[torch.Tensor], Image.Image]
    show: PreviewListener
    every: int
    problem: str = field(default="", init=False)
    _last_step: int = field(default=0, init=False)

    def __call__(self, session: Session, denoised: torch.Tensor | None) -> None:
        if denoised is None or session.step == self._last_step or session.step % self.every or self.problem:
            return
        self._last_step = session.step
        frames = self._frames(denoised)
        if frames is not None:
            self.show(session, frames)

    def _frames(self, denoised: torch.Tensor) -> list[Image.Image] | None:
        shown = denoised[list(preview_frames(len(denoised)))]
        middle = len(shown) // 2
        try:
            colors = fit_colors(shown[middle], self.decode(shown[middle : middle + 1]))
        except (UserError, RuntimeError) as error:  # no memory for the VAE, or frames that are no numbers
            self.problem = f"There is no preview: {error}"
            return None
        return rough_frames(shown, colors)
