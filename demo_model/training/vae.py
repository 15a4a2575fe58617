"""Stage 3: a VAE whose latents are the agreed code, and whose decoder forgives a little noise."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from .image import draw_stills, fit_latent_code, save_average
from .latents import SCALING_FACTOR
from .optimizer import Trainer
from .run import Journal, seeded

LOG_VARIANCE = -14.0
ENDS = ("encoder.conv_in", "encoder.conv_out", "quant_conv", "post_quant_conv", "decoder.conv_out")


def build_vae() -> AutoencoderKL:
    """SD1.5's VAE, narrow: three halvings, four latent channels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType] - typed as one
        up_block_types=("UpDecoderBlock2D",) * 4,  # pyright: ignore[reportArgumentType]
        block_out_channels=(16, 32, 48, 64),  # pyright: ignore[reportArgumentType]
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=128,
        scaling_factor=SCALING_FACTOR,
    )


def train_vae(
    folder: Path,
    steps: int,
    *,
    rate: float,
    seed: int,
    horizon: int = 0,
    resume: bool = False,
    batch: int = 12,
) -> None:
    """Train both halves: the encoder on the code, the decoder on the code with noise.

    `rate` is Muon's at the start; the schedule is that of a run of `horizon` steps (default: `steps`).
    """
    rng, journal = seeded(seed), Journal("vae")
    code = fit_latent_code()
    vae = AutoencoderKL.from_pretrained(folder / "vae") if resume else build_vae()
    trainer = Trainer(vae, horizon or steps, muon=rate, adam=rate / 10, first=ENDS)
    for step in range(1, steps + 1):
        pictures, _, _ = draw_stills(rng, batch)
        target = code.encode(pictures)
        encoding = encoding_loss(vae, pictures, target)
        decoded = decode_noisy(vae, target)
        error = mse_loss(decoded, pictures)
        trainer.step(encoding + 4 * error + l1_loss(decoded, pictures))
        journal.note(decibels=-10 * error.log10(), code=encoding)
        if step % 200 == 0 or step == steps:
            save_average(trainer.averaged(), build_vae(), folder / "vae")


def encoding_loss(vae: AutoencoderKL, pictures: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """How far the encoder is from the code, and from hardly any variance."""
    mean, log_variance = cast("nn.Module", vae.quant_conv)(vae.encoder(pictures * 2 - 1)).chunk(2, 1)
    certainty = (log_variance - LOG_VARIANCE).square().mean()
    return mse_loss(mean * SCALING_FACTOR, target) + 1e-3 * certainty


def decode_noisy(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Pictures from latents with some noise, as a sampler leaves it."""
    noisy = latents + torch.rand(len(latents), 1, 1, 1) * 0.2 * torch.randn_like(latents)
    return vae.decoder(cast("nn.Module", vae.post_quant_conv)(noisy / SCALING_FACTOR)) / 2 + 0.5
