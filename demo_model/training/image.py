"""Stage 2: the image UNet, on single frames of the clips.

Frames are drawn at any moment of their motion, and the captions name the motion although one frame does not
show it: an auxiliary probe makes the UNet carry the word along, so that a motion module can find it later.
Half of the batches are noised with each beta schedule, so that the UNet is at home in both.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.nn.functional import cross_entropy

from demo_model import world

from .diffusion import NUM_TIMESTEPS, alphas_cumprod, v_loss
from .latents import LatentCode
from .optimizer import Trainer
from .run import Journal, seeded
from .text import NUM_CLASSES, WIDTH, CaptionEncoder, describe

ENDS = ("unet.conv_in", "unet.conv_out", "unet.time_emb", "probe")


def build_unet() -> UNet2DConditionModel:
    """SD1.5's blocks, narrow: 4 levels, 2 layers a block, cross-attention in all but the last."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64, 96, 96),
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
    )


def use_plain_attention(unet: UNet2DConditionModel) -> None:
    """Attention by matrix products: on a CPU, narrow heads are far slower in the fused kernel."""
    unet.set_attn_processor(AttnProcessor())


def draw_timesteps(count: int, *, high: float = 0.7, first_high: int = 350) -> torch.Tensor:
    """Timesteps (b,): a share `high` of them where layout and shape are decided; evenly spread in a batch."""
    uniform = (torch.arange(count) + torch.rand(count)) / count
    late = first_high + uniform / high * (NUM_TIMESTEPS - first_high)
    anywhere = (uniform - high) / (1 - high) * NUM_TIMESTEPS
    return torch.where(uniform < high, late, anywhere).long()


class CaptionProbe(nn.Module):
    """Linear probes for the caption's classes from the pooled features of some blocks."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.features: list[torch.Tensor] = []
        blocks = [unet.mid_block, unet.up_blocks[1], unet.up_blocks[2]]
        self.heads = nn.ModuleList(nn.Linear(width, sum(NUM_CLASSES)) for width in (96, 96, 64))
        for block in blocks:
            block.register_forward_hook(
                lambda _module, _args, output: self.features.append(output.float().mean((2, 3)))
            )

    def loss(self, labels: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of the last forward pass over the rows whose caption was not dropped."""
        total = torch.zeros(())
        for head, features in zip(self.heads, self.features, strict=True):
            for index, logits in enumerate(head(features[named]).split(NUM_CLASSES, -1)):
                total = total + cross_entropy(logits, labels[named, index])
        self.features.clear()
        return total


def draw_stills(rng: np.random.Generator, count: int) -> tuple[torch.Tensor, list[world.Scene], list[str]]:
    """Pictures (b, 3, h, w), what they show, and captions, a tenth of them empty."""
    drawn = [world.draw_scene(rng) for _ in range(count)]
    frames = [world.draw_frames(s, world.draw_path(s.motion, rng), rng.random(1)) for s in drawn]
    captions = ["" if rng.random() < 0.1 else world.write_caption(s, rng) for s in drawn]
    return torch.cat(frames), drawn, captions


@cache
def fit_latent_code() -> LatentCode:
    """The latent code of the drawn world, the same every time."""
    pictures, _, _ = draw_stills(np.random.default_rng(7), 2048)
    return LatentCode().fit(pictures)


def still_loss(unet: UNet2DConditionModel, clean: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """The v loss on latents (b, 4, h, w) at random timesteps, each by either schedule."""
    schedules = torch.stack([alphas_cumprod("scaled_linear"), alphas_cumprod("linear")])
    timesteps = draw_timesteps(len(clean))
    alpha_cumprod = schedules[torch.randint(0, 2, (len(clean),)), timesteps]
    return v_loss(clean, alpha_cumprod, lambda noisy: unet(noisy, timesteps, context).sample)


def train_image(
    folder: Path,
    steps: int,
    *,
    rate: float,
    seed: int,
    horizon: int = 0,
    resume: bool = False,
    batch: int = 32,
) -> None:
    """Train the UNet on latents of stills, from nothing or what `folder` has; saves the averaged weights.

    `rate` is Muon's at the start; the schedule is that of a run of `horizon` steps (default: `steps`).
    """
    rng, journal = seeded(seed), Journal("image")
    captions, code = CaptionEncoder.load(folder), fit_latent_code()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet") if resume else build_unet()
    use_plain_attention(unet)
    probe = CaptionProbe(unet)
    both = nn.ModuleDict({"unet": unet, "probe": probe})
    trainer = Trainer(both, horizon or steps, muon=rate, adam=rate / 8, first=ENDS)
    for step in range(1, steps + 1):
        pictures, drawn, said = draw_stills(rng, batch)
        loss = still_loss(unet, code.encode(pictures), captions.encode(said))
        labels = torch.tensor([describe(scene) for scene in drawn])
        named = torch.tensor([caption != "" for caption in said])
        trainer.step(loss + 0.01 * probe.loss(labels, named))
        journal.note(loss=loss)
        if step % 250 == 0 or step == steps:
            save_average(trainer.averaged("unet."), build_unet(), folder / "unet")


def save_average(weights: dict[str, torch.Tensor], model: ModelMixin, folder: Path) -> None:
    """Write `model` with these weights in diffusers' layout."""
    model.load_state_dict({**model.state_dict(), **weights})
    model.save_pretrained(folder)
