"""img2img with a mask for each frame: what the host makes of one picture and its mask, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import cast

import torch
from PIL import Image

from .host_types import ImageRequest

MASKS_ATTRIBUTE = "animatediff_masks"
"""Where the request of a whole folder keeps its masks."""
_PER_FRAME = ("init_latent", "image_conditioning")
_MASKS = ("mask", "nmask")
_LISTS = ("overlay_images", "color_corrections")


def init_with_masks(p: ImageRequest, masks: Sequence[Image.Image]) -> Callable[..., None]:
    """What takes the place of `p.init` where every frame has a mask of its own: the host's, frame by frame.

    "Only masked" would cut out another part of each frame, so the whole pictures are inpainted.
    """

    def init(all_prompts: Sequence[str], all_seeds: Sequence[int], all_subseeds: Sequence[int]) -> None:
        frames: list[ImageRequest] = []
        for number, picture in enumerate(p.init_images):
            frame = copy(p)
            frame.init_images, frame.batch_size, frame.inpaint_full_res = [picture], 1, False
            frame.image_mask = masks[min(number, len(masks) - 1)]
            frame.color_corrections = None
            type(p).init(frame, all_prompts[number:], all_seeds[number:], all_subseeds[number:])
            frames.append(frame)
        _gather_frames(p, frames)

    return init


def _gather_frames(p: ImageRequest, frames: Sequence[ImageRequest]) -> None:
    """What the host has made of each frame, as what it would have made of the whole batch."""
    for name in _PER_FRAME:
        setattr(p, name, torch.cat([getattr(frame, name) for frame in frames]))
    for name in _MASKS:
        setattr(p, name, torch.stack([getattr(frame, name) for frame in frames]))
    for name in _LISTS:
        whole: list[object] = []
        for frame in frames:
            whole += cast("list[object] | None", getattr(frame, name, None)) or ()
        setattr(p, name, whole or None)
    p.sampler, p.mask_for_overlay = frames[0].sampler, getattr(frames[0], "mask_for_overlay", None)
