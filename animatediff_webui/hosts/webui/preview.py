"""The host's live preview as a moving picture.

The host makes a still of the latents, notes it in its state, and sends it to the page as a PNG, JPEG or
WEBP, by the user's setting. Inside a run all frames are noted, in one picture, which PNG and WEBP can hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from modules import sd_samplers_common, shared
from PIL import Image

from animatediff_webui.core.plan import Plan
from animatediff_webui.core.preview import MAX_SIDE, preview_frames

from .patches import replaced

_ANIMATED = ("PNG", "WEBP", "GIF")
_CHEAP = sd_samplers_common.approximation_indexes["Approx cheap"]
_FULL = sd_samplers_common.approximation_indexes["Full"]


class MovingPicture(Image.Image):
    """A frame that saves those behind it along, in the formats that can move."""

    following: tuple[Image.Image, ...]
    milliseconds: float

    @classmethod
    def of(cls, frames: list[Image.Image], milliseconds: float) -> MovingPicture:
        # The host wants a picture with all that pictures can do: so the first frame becomes one of ours.
        picture = frames[0].copy()
        picture.__class__ = cls
        moving = cast("MovingPicture", picture)
        moving.following, moving.milliseconds = tuple(frames[1:]), milliseconds
        return moving

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """(Any: what Pillow takes.)"""
        if (format or "").upper() in _ANIMATED and self.following:
            moving = {"save_all": True, "append_images": self.following, "duration": self.milliseconds}
            params = {**params, **moving, "loop": 0}
        super().save(fp, format, **params)


@contextmanager
def moving_preview(plan: Plan) -> Iterator[None]:
    """Inside, what the host notes as the picture to show moves, if it shows this clip."""
    state = shared.state
    assign = state.assign_current_image

    def assign_moving(image: Image.Image) -> None:
        latents: torch.Tensor | None = state.current_latent
        if latents is None or len(latents) != plan.num_frames:
            return assign(image)
        return assign(_moving_picture(plan, latents))

    with replaced(state, "assign_current_image", assign_moving):
        yield


def _moving_picture(plan: Plan, latents: torch.Tensor) -> MovingPicture:
    frames = [_small_picture(latents[frame]) for frame in preview_frames(plan.num_frames)]
    return MovingPicture.of(frames, 1000 * plan.num_frames / (len(frames) * float(plan.fps)))


def _small_picture(sample: torch.Tensor) -> Image.Image:
    """One frame, by the user's preview method; the full VAE would hold up sampling, frame after frame."""
    method = sd_samplers_common.approximation_indexes.get(shared.opts.show_progress_type, _CHEAP)
    picture = sd_samplers_common.single_sample_to_image(sample, _CHEAP if method == _FULL else method)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return picture
