"""Stage 7: a SparseCtrl, "rgb": pictures for some of a clip's frames say what is there, and where.

Everything else stays frozen. Of each clip the first frame's picture is given, or another's, or two frames';
captions say the motion, and often nothing else, so that the picture decides colours, shape and place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import SparseControlNetModel, UNet2DConditionModel
from einops import rearrange, repeat
from torch import nn

from demo_model import world
from motion_module.injection import injected
from motion_module.module import MotionModule

from .diffusion import alphas_cumprod, v_loss
from .image import draw_timesteps, save_average
from .motion import Clips, Frozen, Stage, at_positions, draw_clips, pick_frames
from .optimizer import Trainer
from .run import Journal, seeded
from .text import WIDTH

ENDS = ("conv_in", "time_emb", "controlnet_cond_embedding")


def build_sparsectrl(unet: UNet2DConditionModel | None = None) -> SparseControlNetModel:
    """The UNet's way down with attention between frames instead of to the text; begins with its weights.

    At first, frames know nothing of each other, as in a new motion module.
    """
    network = SparseControlNetModel(
        conditioning_channels=4,
        down_block_types=("DownBlockMotion",) * 4,
        block_out_channels=(32, 64, 96, 96),
        norm_num_groups=8,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
    )
    for name, weight in network.named_parameters():
        if "motion_modules" in name and ".proj_out." in name:
            nn.init.zeros_(weight)
    if unet is not None:
        own = network.state_dict()
        copied = {name: weight for name, weight in unet.state_dict().items() if name in own}
        network.load_state_dict(copied, strict=False)
    return network


@dataclass(frozen=True)
class Given:
    """Pictures for some frames: latents `b c f h w`, zero where there is none, and a mask `b 1 f h w`."""

    latents: torch.Tensor
    mask: torch.Tensor


def give_pictures(rng: np.random.Generator, clips: torch.Tensor) -> Given:
    """Of latents `b f c h w` mostly the first frame, else another one, or two."""
    batch, num_frames = clips.shape[:2]
    mask = torch.zeros(batch, 1, num_frames, *clips.shape[3:])
    for row in range(batch):
        kind = rng.random()
        first = 0 if kind < 0.7 else int(rng.integers(num_frames))
        mask[row, :, first] = 1
        if kind > 0.85:
            mask[row, :, int(rng.integers(num_frames))] = 1
    return Given(rearrange(clips, "b f c h w -> b c f h w") * mask, mask)


def predict_from_pictures(
    frozen: Frozen,
    network: SparseControlNetModel,
    noisy: torch.Tensor,
    timesteps: torch.Tensor,
    captions: list[str],
    given: Given,
) -> torch.Tensor:
    """The UNet's prediction b f c h w for noisy clips b f c h w with the given pictures."""
    frames = noisy.shape[1]
    context = repeat(frozen.encoder.encode(captions), "b n c -> (b f) n c", f=frames)
    down, middle = network(
        rearrange(noisy, "b f c h w -> b c f h w"),
        timesteps,
        context,
        given.latents,
        conditioning_mask=given.mask,
        return_dict=False,
    )
    predicted = frozen.unet(
        rearrange(noisy, "b f c h w -> (b f) c h w"),
        repeat(timesteps, "b -> (b f)", f=frames),
        context,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    ).sample
    return rearrange(predicted, "(b f) c h w -> b f c h w", f=frames)


def sparse_loss(
    frozen: Frozen,
    module: MotionModule,
    network: SparseControlNetModel,
    clips: Clips,
    given: Given,
    frames: np.ndarray,
    timesteps: torch.Tensor,
) -> torch.Tensor:
    """The v loss at `timesteps` (b,) of AnimateDiff's linear schedule."""

    def predict(noisy: torch.Tensor) -> torch.Tensor:
        return predict_from_pictures(frozen, network, noisy, timesteps, clips.captions, given)

    alpha_cumprod = alphas_cumprod("linear")[timesteps]
    with (
        at_positions(module, frames),
        at_positions(network, frames),
        module.frames(len(frames)),
        injected(frozen.unet, module),
    ):
        return v_loss(clips.latents, alpha_cumprod, predict)


def tell_less(clips: Clips, rng: np.random.Generator) -> Clips:
    """The same clips, but a third of the captions are without colours and shape."""
    told = [_motion_alone(caption) if rng.random() < 1 / 3 else caption for caption in clips.captions]
    return replace(clips, captions=told)


def _motion_alone(caption: str) -> str:
    phrases = [phrase for phrases in world.MOTION_PHRASES.values() for phrase in phrases if phrase in caption]
    return max(phrases, key=len, default="")


def train_sparsectrl(
    folder: Path,
    module: MotionModule,
    stages: Sequence[Stage],
    *,
    rate: float,
    seed: int,
    resume: bool = False,
) -> None:
    """Train the SparseCtrl in stages into folder/sparsectrl/rgb; `rate` is Muon's at the start."""
    rng, journal = seeded(seed), Journal("sparsectrl")
    frozen = Frozen.load(folder)
    module.requires_grad_(False)
    save = folder / "sparsectrl" / "rgb"
    network = SparseControlNetModel.from_pretrained(save) if resume else build_sparsectrl(frozen.unet)
    num_steps = sum(stage.steps for stage in stages)
    trainer = Trainer(network, num_steps, muon=rate, adam=rate / 8, first=ENDS)
    for stage in stages:
        for _ in range(stage.steps):
            frames = pick_frames(rng, stage.num_frames)
            frames[0] = 0
            clips = draw_clips(rng, frozen.code, stage.batch, frames, stage.motions)
            timesteps = draw_timesteps(stage.batch, high=stage.high, first_high=stage.first_high)
            given = give_pictures(rng, clips.latents)
            loss = sparse_loss(frozen, module, network, tell_less(clips, rng), given, frames, timesteps)
            trainer.step(loss)
            journal.note(loss=loss)
            if trainer.done % 200 == 0 or trainer.done == num_steps:
                save_average(trainer.averaged(), build_sparsectrl(), save)
