"""How a VAE turns latents into frames, and frames into latents."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import torch
from einops import rearrange
from PIL import Image

from .pipelines import Vae
from .pixels import as_rows
from .results import check_finite, memory_explained


def decode_frames(
    vae: Vae, latents: torch.Tensor, *, device: torch.device, lock: AbstractContextManager[object]
) -> Iterator[Image.Image]:
    """The frames of `latents` `f c h w`, decoded one at a time as they are asked for.

    `lock` is held while the VAE works, not between two frames. Raises NotFiniteError and
    NotEnoughMemoryError.
    """
    for index in range(len(latents)):
        with lock, torch.inference_mode(), memory_explained(), in_full_precision(vae):
            frame = _decode(vae, latents[index : index + 1].to(device, torch.float32))
        yield frame


def encode_frame(vae: Vae, image: Image.Image, device: torch.device) -> torch.Tensor:
    """The latent `1 c h w` of a picture, on the CPU; of what the VAE thinks likely, the middle."""
    pixels = as_rows(image.convert("RGB")) * 2 - 1
    with torch.inference_mode(), in_full_precision(vae):
        rows = rearrange(pixels, "h w c -> 1 c h w").to(device, vae.dtype)
        latent = vae.encode(rows, return_dict=False)[0].mode().float().cpu()
    check_finite(latent, "The VAE made latents", "use another VAE, or the number format float32")
    mean, std = _shift(vae, latent)
    return (latent - mean) / std * cast("float", vae.config.get("scaling_factor"))


@contextmanager
def in_full_precision(vae: Vae) -> Generator[None, None, None]:
    """Inside, a VAE that overflows in half precision, as most do, works in float32."""
    is_upcast = vae.dtype == torch.float16 and bool(vae.config.get("force_upcast", False))
    if is_upcast:
        vae.to(dtype=torch.float32)
    try:
        yield
    finally:
        if is_upcast:
            vae.to(dtype=torch.float16)


def _decode(vae: Vae, latent: torch.Tensor) -> Image.Image:
    """The picture of one latent `1 c h w`."""
    scaled = _unscale(vae, latent)
    pixels = vae.decode(scaled.to(vae.dtype), return_dict=False)[0]
    check_finite(pixels, "The VAE made a frame of numbers", "use another VAE, or the number format float32")
    image = (pixels[0].float() / 2 + 0.5).clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(rearrange(image, "c h w -> h w c").cpu().numpy(), "RGB")


def _unscale(vae: Vae, latent: torch.Tensor) -> torch.Tensor:
    """A latent `1 c h w` in the units that the VAE's decoder takes."""
    mean, std = _shift(vae, latent)
    return latent / cast("float", vae.config.get("scaling_factor")) * std + mean


def _shift(vae: Vae, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of each channel, 0 and 1 for most VAEs."""
    mean, std = vae.config.get("latents_mean"), vae.config.get("latents_std")
    if not mean or not std:
        return latent.new_zeros(()), latent.new_ones(())
    return latent.new_tensor(mean)[:, None, None], latent.new_tensor(std)[:, None, None]
