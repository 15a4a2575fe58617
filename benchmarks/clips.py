"""Whole clips of the embedded model, from the prompt to pictures, beside diffusers' AnimateDiffPipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.animatediff.pipeline_animatediff import AnimateDiffPipeline
from einops import rearrange
from PIL import Image

from animatediff_webui.core.noise import frame_noise, frame_seeds
from animatediff_webui.hosts.diffusers.animator import Animator
from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.peers import diffusers_pipeline, enable_free_noise
from benchmarks.results import Result
from demo_model.loading import load_animator

PROMPT = "a red circle moving right on a blue background"
SEED = 1
CFG_SCALE = 7.0
SAMPLER = "DDIM"
CONTEXT_LENGTH = 16
OVERLAP = 4
"""The default of ours."""


@dataclass(frozen=True)
class Asked:
    """The same for both; sizes are in pixels. Where `has_views`, the windows are of the temporal layers
    alone, as FreeNoise's are; others are of the whole UNet."""

    num_frames: int
    steps: int
    side: int = 128
    has_views: bool = False

    @property
    def is_long(self) -> bool:
        return self.num_frames > CONTEXT_LENGTH

    def __str__(self) -> str:
        whose = " in the temporal layers" if self.has_views else ""
        windows = f", windows of {CONTEXT_LENGTH}{whose}" if self.is_long else ""
        return f"{self.num_frames} frames{windows}, {self.steps} steps, {self.side}x{self.side}"


ASKED = (Asked(16, 10), Asked(64, 10), Asked(64, 10, has_views=True))
TOY_ASKED = (Asked(4, 2, 64), Asked(20, 1, 64), Asked(20, 1, 64, has_views=True))


def run(options: Options) -> Iterator[Result]:
    """One result a row; of a clip of one window, pictures are compared, too."""
    animator = load_animator()
    pipeline = diffusers_pipeline(animator, SAMPLER)
    for asked in TOY_ASKED if options.toy else ASKED:
        yield _compare(asked, animator, pipeline, options.rounds)


def _compare(asked: Asked, animator: Animator, pipeline: AnimateDiffPipeline, rounds: int) -> Result:
    if asked.is_long:
        enable_free_noise(pipeline, CONTEXT_LENGTH, CONTEXT_LENGTH - OVERLAP)
    subjects: dict[str, Callable[[], list[Image.Image]]] = {
        "ours": lambda: _generate(asked, animator),
        "diffusers": lambda: _generate_by_diffusers(asked, pipeline),
    }
    error = None if asked.is_long else _difference(subjects["ours"](), subjects["diffusers"]())
    timings = alternate(subjects, rounds)
    ours, theirs = timings["ours"], timings["diffusers"]
    figures = {
        "s": theirs.seconds,
        "ours, s": ours.seconds,
        "CPU ratio": ours.cpu_seconds / theirs.cpu_seconds,
        "median ratio": ours.median / theirs.median,
    }
    subject = "AnimateDiffPipeline with its FreeNoise" if asked.is_long else "AnimateDiffPipeline"
    return Result("clips", str(asked), subject, ours.seconds / theirs.seconds, figures, error)


def _generate(asked: Asked, animator: Animator) -> list[Image.Image]:
    clip = animator.generate(
        PROMPT,
        seed=SEED,
        steps=asked.steps,
        sampler_name=SAMPLER,
        cfg_scale=CFG_SCALE,
        width=asked.side,
        height=asked.side,
        video_length=asked.num_frames,
        batch_size=asked.num_frames if asked.has_views else min(CONTEXT_LENGTH, asked.num_frames),
        view_length=CONTEXT_LENGTH if asked.has_views else 0,
        view_overlap=OVERLAP if asked.has_views else -1,
    )
    return list(clip.frames())


def _generate_by_diffusers(asked: Asked, pipeline: AnimateDiffPipeline) -> list[Image.Image]:
    latents = frame_noise(frame_seeds(SEED, asked.num_frames), (4, asked.side // 8, asked.side // 8))
    with torch.no_grad():
        output: Any = pipeline(  # Any: what it is depends on its arguments
            PROMPT,
            num_frames=asked.num_frames,
            num_inference_steps=asked.steps,
            guidance_scale=CFG_SCALE,
            width=asked.side,
            height=asked.side,
            latents=rearrange(latents, "f c h w -> 1 c f h w"),
        )
    return output.frames[0]


def _difference(ours: list[Image.Image], theirs: list[Image.Image]) -> float:
    """The largest of any pixel, as a share of white."""
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max()) for a, b in pairs) / 255
