"""diffusers' own AnimateDiff pipelines with the weights of ours: what a clip of one window has to equal."""

from __future__ import annotations

import torch
from einops import rearrange

from animatediff_webui.core.noise import frame_noise, frame_seeds
from animatediff_webui.hosts.diffusers.samplers import build_scheduler, find_sampler
from benchmarks.peers import diffusers_unet
from motion_module.schedules import BetaSchedule

SHAPE = (4, 8, 8)


def parts_of(animator) -> dict:
    """What every pipeline takes; the motion module is in the UNet."""
    pipeline = animator.pipeline
    sampler, options = find_sampler("DDIM")
    return {
        "vae": pipeline.vae,
        "text_encoder": pipeline.text_encoder,
        "tokenizer": pipeline.tokenizer,
        "unet": diffusers_unet(animator.pipeline.unet, animator.module),
        "motion_adapter": None,
        "scheduler": build_scheduler(sampler, options, pipeline.scheduler.config, BetaSchedule.LINEAR),
    }


def noise_of(seed: int, num_frames: int) -> torch.Tensor:
    """The noise `f c h w` that a clip of ours starts from."""
    return frame_noise(frame_seeds(seed, num_frames), SHAPE)


def as_clip(rows: torch.Tensor) -> torch.Tensor:
    return rearrange(rows, "f c h w -> 1 c f h w")


def as_rows(clip: torch.Tensor) -> torch.Tensor:
    return rearrange(clip, "1 c f h w -> f c h w")
