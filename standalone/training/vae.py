"""Stage 3: a VAE whose latents are the agreed code, and whose decoder forgives a little noise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from standalone.training.image import draw_stills, fit_latent_code
from standalone.training.latents import SCALING_FACTOR
from standalone.training.optimizer import Trainer

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
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    code = fit_latent_code()
    vae = AutoencoderKL.from_pretrained(folder / "vae") if resume else build_vae()
    trainer = Trainer(vae, horizon or steps, muon=rate, adam=rate / 10, first=ENDS)
    quantize, unquantize = cast("nn.Module", vae.quant_conv), cast("nn.Module", vae.post_quant_conv)
    errors: list[float] = []
    for step in range(steps):
        pictures, _, _ = draw_stills(rng, batch)
        target = code.encode(pictures)
        moments = quantize(vae.encoder(pictures * 2 - 1))
        mean, log_variance = moments.chunk(2, 1)
        noisy = target + torch.rand(batch, 1, 1, 1) * 0.2 * torch.randn_like(target)
        decoded = vae.decoder(unquantize(noisy / SCALING_FACTOR)) / 2 + 0.5
        encoding = (
            mse_loss(mean * SCALING_FACTOR, target) + 1e-3 * (log_variance - LOG_VARIANCE).square().mean()
        )
        error = mse_loss(decoded, pictures)
        trainer.step(encoding + 4 * error + l1_loss(decoded, pictures))
        errors.append(error.item())
        if step % 50 == 49:
            quality = -10 * math.log10(np.mean(errors[-50:]))
            print(f"vae {step + 1}: {quality:.2f} dB, code {encoding.item():.5f}", flush=True)
        if step % 200 == 199 or step == steps - 1:
            copy = build_vae()
            copy.load_state_dict(trainer.average)
            copy.save_pretrained(folder / "vae")
