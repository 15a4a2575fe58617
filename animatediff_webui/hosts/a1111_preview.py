"""The host's live preview as a moving picture.

The host asks for one picture of the latents (or a grid of them all), and sends it to the page as a PNG, JPEG
or WEBP, by the user's setting. Inside a run it gets all frames in one picture, which PNG and WEBP can hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from modules import sd_samplers, sd_samplers_common, shared
from PIL import Image

from ..core.plan import Plan
from ..core.preview import MAX_SIDE, preview_frames
from .a1111_patches import replaced

_ANIMATED = ("PNG", "WEBP", "GIF")
_FUNCTIONS = ("sample_to_image", "samples_to_image_grid")
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
    """Inside, previews of this clip's latents move."""
    with ExitStack() as stack:
        for owner in (sd_samplers, sd_samplers_common):
            for name in _FUNCTIONS:
                function = _moving(plan, getattr(owner, name))
                stack.enter_context(replaced(owner, name, function))
        yield


def _moving(plan: Plan, original: Any) -> Any:
    """The host's function, moving where it is asked for a preview of the whole clip. (Any: functions.)"""

    def picture(samples: torch.Tensor, *args: Any, **kwargs: Any) -> Image.Image:
        # With an index or a method of its own, it is asked for a picture to save.
        if args or kwargs or len(samples) != plan.num_frames:
            return original(samples, *args, **kwargs)
        frames = [_small_picture(samples[frame]) for frame in preview_frames(plan.num_frames)]
        return MovingPicture.of(frames, 1000 * plan.num_frames / (len(frames) * float(plan.fps)))

    return picture


def _small_picture(sample: torch.Tensor) -> Image.Image:
    """One frame, by the user's preview method; the full VAE would hold up sampling, frame after frame."""
    method = sd_samplers_common.approximation_indexes.get(shared.opts.show_progress_type, _CHEAP)
    picture = sd_samplers_common.single_sample_to_image(sample, _CHEAP if method == _FULL else method)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return picture
