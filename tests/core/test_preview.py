"""Rough frames while sampling: colours that a linear map of the latents gives, found from one frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from animatediff_webui.core.preview import fit_colors, preview_frames, rough_frames

MIX = torch.tensor([[0.2, 0.0, -0.1], [0.0, 0.15, 0.1], [-0.1, 0.1, 0.2], [0.05, 0.0, 0.0]])


def decode(latent: torch.Tensor) -> Image.Image:
    """A stand-in for a VAE: each cell of the latent is 8x8 pixels of one colour."""
    colors = (torch.einsum("chw,cd->hwd", latent, MIX) + 0.5).clamp(0, 1)
    pixels = (colors * 255).round().byte().numpy().repeat(8, 0).repeat(8, 1)
    return Image.fromarray(pixels, "RGB")


def test_other_frames_have_their_own_colors_by_the_map_of_one():
    latents = torch.randn(3, 4, 6, 8, generator=torch.Generator().manual_seed(1)) * 0.5
    frames = rough_frames(latents, fit_colors(latents[0], decode(latents[0])))
    for frame, latent in zip(frames, latents, strict=True):
        small = frame.resize((8, 6), Image.Resampling.BOX)
        expected = decode(latent).resize((8, 6), Image.Resampling.BOX)
        assert np.abs(np.asarray(small, float) - np.asarray(expected, float)).mean() < 12


def test_a_flat_frame_gives_a_flat_preview_of_its_color():
    latent = torch.ones(4, 5, 5) * 0.3
    (frame,) = rough_frames(latent[None], fit_colors(latent, decode(latent)))
    assert np.abs(np.asarray(frame, float) - np.asarray(decode(latent), float)[0, 0]).max() < 3


@pytest.mark.parametrize(("num_frames", "expected"), [(1, 1), (16, 16), (32, 32), (33, 17), (512, 32)])
def test_long_clips_show_some_of_their_frames(num_frames, expected):
    shown = preview_frames(num_frames)
    assert shown[0] == 0
    assert len(shown) == expected


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 96), (400, 300)])
def test_previews_stay_small(height, width):
    latent = torch.zeros(1, 4, height, width)
    (frame,) = rough_frames(latent, torch.zeros(5, 3))
    assert max(frame.size) <= max(256, height, width)
