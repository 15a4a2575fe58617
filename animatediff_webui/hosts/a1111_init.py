"""img2img in the WebUI: the latents that a clip's first and last picture give."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from modules import devices, images, sd_samplers_common, shared
from PIL import Image

from ..core.parameters import InitImage
from .a1111_latents import blended_init

_LATENT_RESIZE = 3  # the resize mode that stretches latents instead of pictures

# `p` is the host's request, whose class cannot be imported where types are checked: Any.


def blended_init_latent(p: Any, settings: InitImage) -> torch.Tensor:
    """The latents that the clip starts from; where each frame has a picture of its own, those of the pictures."""
    if len(p.init_images) > 1:
        return p.init_latent
    last = None if settings.last_frame is None else encoded_last_frame(p, settings.last_frame)
    return blended_init(p.init_latent, p.rng.next(), settings, last, changed_part(p))


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
