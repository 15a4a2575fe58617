"""img2img in the WebUI: the latents that a clip's first and last picture give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from modules import devices, images, sd_samplers_common, shared
from PIL import Image

from animatediff_webui.core.parameters import InitImage

from .noise import blended_init

MASKS_ATTRIBUTE = "animatediff_masks"
"""Where the request of a whole folder keeps its masks."""
_PER_FRAME = ("init_latent", "image_conditioning")
_MASKS = ("mask", "nmask")
_LISTS = ("overlay_images", "color_corrections")
_LATENT_RESIZE = 3  # the resize mode that stretches latents instead of pictures

# `p` is the host's request, whose class cannot be imported where types are checked: Any.


def blended_init_latent(p: Any, settings: InitImage) -> torch.Tensor:
    """The latents that the clip starts from; of several pictures, each is a frame as it is."""
    if len(p.init_images) > 1:
        return p.init_latent
    last = None if settings.last_frame is None else encoded_last_frame(p, settings.last_frame)
    return blended_init(p.init_latent, p.rng.next(), settings, last, changed_part(p))


def init_with_masks(p: Any, masks: Sequence[Image.Image]) -> Callable[..., None]:
    """What takes the place of `p.init` where every frame has a mask of its own: the host's, frame by frame.

    "Only masked" would cut out another part of each frame, so the whole pictures are inpainted.
    """

    def init(all_prompts: Any, all_seeds: Any, all_subseeds: Any) -> None:
        frames = []
        for number, picture in enumerate(p.init_images):
            frame = copy(p)
            frame.init_images, frame.batch_size, frame.inpaint_full_res = [picture], 1, False
            frame.image_mask = masks[min(number, len(masks) - 1)]
            frame.color_corrections = None
            type(p).init(frame, all_prompts[number:], all_seeds[number:], all_subseeds[number:])
            frames.append(frame)
        for name in _PER_FRAME:
            setattr(p, name, torch.cat([getattr(frame, name) for frame in frames]))
        for name in _MASKS:
            setattr(p, name, torch.stack([getattr(frame, name) for frame in frames]))
        for name in _LISTS:
            lists: list[Any] = [getattr(frame, name, None) for frame in frames]
            setattr(p, name, None if lists[0] is None else [each for values in lists for each in values])
        p.sampler, p.mask_for_overlay = frames[0].sampler, getattr(frames[0], "mask_for_overlay", None)

    return init


def changed_part(p: Any) -> torch.Tensor | None:
    """1 where inpainting may change the latents; None without a mask."""
    return None if getattr(p, "mask", None) is None else p.nmask


def encoded_last_frame(p: Any, image: Image.Image) -> torch.Tensor:
    """The last frame's latent `1 c h w`, treated as the host treats the first picture."""
    image = images.flatten(image, shared.opts.img2img_background_color)
    if p.paste_to is not None:  # "only masked": the same cut-out
        x, y, width, height = p.paste_to
        image = images.resize_image(p.resize_mode, image, *p.init_images[0].size)
        image = images.resize_image(2, image.crop((x, y, x + width, y + height)), p.width, p.height)
    elif p.resize_mode != _LATENT_RESIZE:
        image = images.resize_image(p.resize_mode, image, p.width, p.height)
    pixels = torch.from_numpy(np.array(image).astype(np.float32) / 255).permute(2, 0, 1)[None]
    method = sd_samplers_common.approximation_indexes.get(shared.opts.sd_vae_encode_method)
    pixels = pixels.to(shared.device, dtype=devices.dtype_vae)
    latent = sd_samplers_common.images_tensor_to_samples(pixels, method, shared.sd_model)
    if latent.shape[-2:] != p.init_latent.shape[-2:]:
        latent = torch.nn.functional.interpolate(latent, size=p.init_latent.shape[-2:], mode="bilinear")
    return latent.to(p.init_latent)
