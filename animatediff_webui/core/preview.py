"""Rough frames of a clip while it is sampled: a linear map from latents to colours, fitted on one frame.

What latents mean differs from VAE to VAE, but within a clip colours are nearly a linear function of them. One
decoded frame tells that function, for any checkpoint; decoding all of them would cost as much as some steps.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from PIL import Image

MAX_FRAMES = 32
MAX_SIDE = 256


def preview_frames(num_frames: int) -> range:
    """The frames that a preview shows: all, or as many as `MAX_FRAMES` evenly spaced."""
    return range(0, num_frames, -(-num_frames // MAX_FRAMES))


def fit_colors(latent: torch.Tensor, picture: Image.Image) -> torch.Tensor:
    """The map (c+1, 3) from a latent `c h w`, and 1, to the colours (0..1) of what it was decoded to."""
    _, height, width = latent.shape
    cells = np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.BOX), dtype=np.float32)
    colors = rearrange(torch.tensor(cells / 255), "h w c -> (h w) c")
    # A pseudoinverse: flat pictures have latents of too low a rank for anything less.
    return torch.pinverse(_features(latent[None]), rcond=1e-4) @ colors


def rough_frames(latents: torch.Tensor, colors: torch.Tensor) -> list[Image.Image]:
    """Small pictures of `latents` `f c h w`, by a map that `fit_colors` found."""
    _, _, height, width = latents.shape
    bytes_ = (_features(latents) @ colors).clamp(0, 1).mul(255).round().byte()
    frames = rearrange(bytes_, "(f h w) c -> f h w c", h=height, w=width).numpy()
    scale = min(8, max(1, MAX_SIDE // max(height, width)))
    size = (width * scale, height * scale)
    return [Image.fromarray(frame, "RGB").resize(size, Image.Resampling.BICUBIC) for frame in frames]


def _features(latents: torch.Tensor) -> torch.Tensor:
    """Latents `f c h w` as rows with a constant: (f h w, c+1)."""
    rows = rearrange(latents.float().cpu(), "f c h w -> (f h w) c")
    return torch.cat([rows, torch.ones(len(rows), 1)], 1)
