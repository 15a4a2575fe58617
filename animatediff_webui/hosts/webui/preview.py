"""The host's live preview as a moving picture.

The host makes a still of the latents, notes it in its state, and sends it to the page as a PNG, JPEG or
WEBP, by the user's setting. Inside a run all frames are noted, in one picture, which PNG and WEBP can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import torch
from modules import sd_samplers_common, shared
from PIL import Image

from animatediff_webui.core.preview import MAX_SIDE, preview_frames

from .patches import replaced, saved_by

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan

_ANIMATED = ("PNG", "WEBP", "GIF")
_CHEAP = sd_samplers_common.approximation_indexes["Approx cheap"]
_FULL = sd_samplers_common.approximation_indexes["Full"]


@contextmanager
def moving_preview(plan: Plan) -> Generator[None, None, None]:
    """Inside, what the host notes as the picture to show moves, if it shows this clip."""
    state = shared.state
    assign = state.assign_current_image

    def assign_moving(image: Image.Image) -> None:
        latents = state.current_latent
        if latents is None or len(latents) != plan.num_frames:
            return assign(image)
        return assign(_moving_picture(plan, latents))

    with replaced(state, "assign_current_image", assign_moving):
        yield


def moving(frames: list[Image.Image], milliseconds: float) -> Image.Image:
    """The first frame as a picture that saves those behind it along, in the formats that can move."""
    following = {"save_all": True, "append_images": frames[1:], "duration": milliseconds, "loop": 0}

    def save(
        still: Callable[..., None], file: str | IO[bytes], format: str | None, options: dict[str, object]
    ) -> None:
        moves = len(frames) > 1 and (format or "").upper() in _ANIMATED
        still(file, format, **options, **(following if moves else {}))

    return saved_by(frames[0], save)


def _moving_picture(plan: Plan, latents: torch.Tensor) -> Image.Image:
    frames = [_small_picture(latents[frame]) for frame in preview_frames(plan.num_frames)]
    return moving(frames, 1000 * plan.num_frames / (len(frames) * float(plan.fps)))


def _small_picture(sample: torch.Tensor) -> Image.Image:
    """One frame, by the user's preview method; the full VAE would hold up sampling, frame after frame."""
    method = sd_samplers_common.approximation_indexes.get(shared.opts.show_progress_type, _CHEAP)
    picture = sd_samplers_common.single_sample_to_image(sample, _CHEAP if method == _FULL else method)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return picture
