"""Stage 6: a ControlNet, "outline": white lines on black say where the object is, and how it is shaped.

Everything else stays frozen. First stills, noised until nothing but the line tells; then clips whose object
goes straight in any direction, through the frozen motion module: their frames are told apart by their lines
alone, and captions often name another motion, another shape or none, so that the line decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from einops import rearrange, repeat
from torch import nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from demo_model import world
from motion_module.injection import injected
from motion_module.module import MotionModule

from .diffusion import add_noise, alphas_cumprod, half_precision, v_loss
from .image import draw_timesteps, save_average
from .latents import CELL, LatentCode
from .motion import Frozen, Stage, at_positions, pick_frames
from .optimizer import Trainer
from .run import Journal, seeded
from .text import WIDTH

ENDS = ("controlnet.conv_in", "controlnet.time_emb", "controlnet.controlnet_cond_embedding.conv_in")
INSIDE = 0.1
MOSTLY_OUTSIDE = -1.9
FILL_RATE = 0.03
RADIUS = (17.0, 34.0)
LINE_WIDTHS = (1.0, 4.0)


def build_controlnet(unet: UNet2DConditionModel | None = None) -> ControlNetModel:
    """The UNet's way down without its attention, which lines do not need; begins with the UNet's weights."""
    network = ControlNetModel(
        down_block_types=("DownBlock2D",) * 4,  # pyright: ignore[reportArgumentType] - typed as four
        block_out_channels=(32, 64, 96, 96),
        norm_num_groups=8,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
        conditioning_embedding_out_channels=(8, 16, 32, 32),  # pyright: ignore[reportArgumentType]
    )
    if unet is not None:
        own = network.state_dict()
        copied = {name: weight for name, weight in unet.state_dict().items() if name in own}
        network.load_state_dict(copied, strict=False)
    return network


@dataclass(frozen=True)
class Controlled:
    """Clips: latents `b f c h w`, lines `b f 3 y x`, captions, and the inside's share of each cell."""

    latents: torch.Tensor
    lines: torch.Tensor
    captions: list[str]
    inside: torch.Tensor


def draw_controlled(rng: np.random.Generator, code: LatentCode, count: int, when: np.ndarray) -> Controlled:
    """Clips at the moments `when` (0..1) of objects that go straight, in any direction, at any speed."""
    clips: list[torch.Tensor] = []
    lines: list[torch.Tensor] = []
    inside: list[torch.Tensor] = []
    captions: list[str] = []
    for _ in range(count):
        scene = world.draw_scene(rng)
        radius = rng.uniform(*RADIUS)
        ends = rng.uniform(radius + world.MARGIN, world.SIZE - radius - world.MARGIN, (2, 2))
        centers = torch.from_numpy(ends[0] + (ends[1] - ends[0]) * when[:, None]).float()
        radii = torch.full((len(when),), radius)
        clips.append(code.encode(world.draw_objects(scene, centers, radii)))
        lines.append(world.draw_outlines(scene.shape, centers, radii, rng.uniform(*LINE_WIDTHS)))
        inside.append(avg_pool2d(world.cover(scene.shape, centers, radii), CELL))
        captions.append(write_vague_caption(scene, rng))
    return Controlled(torch.stack(clips), torch.stack(lines), captions, torch.stack(inside))


def write_vague_caption(scene: world.Scene, rng: np.random.Generator) -> str:
    """A caption that names the colours, but often no shape, or another one; a tenth are empty."""
    kind = rng.random()
    if kind < 0.1:
        return ""
    if kind < 0.4:
        shapeless = f"{scene.color}"
        return f"{shapeless}, {scene.background} background" if scene.background else shapeless
    shape = str(rng.choice(world.SHAPES)) if kind < 0.6 else scene.shape
    return world.write_caption(replace(scene, shape=shape), rng)


class Inside(nn.Module):
    """Linear probes for which cells are inside, from the ControlNet's way down at full size.

    Without them, filling a line takes as long to appear as everything else together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(32, 1, 1) for _ in range(3))
        for head in self.heads:
            nn.init.constant_(cast("nn.Conv2d", head).bias, MOSTLY_OUTSIDE)  # pyright: ignore[reportArgumentType]

    def loss(self, features: Sequence[torch.Tensor], inside: torch.Tensor) -> torch.Tensor:
        """The cross-entropy of features `(b f) 32 h w`, one for each probe, for `inside` b f 1 h w."""
        target = rearrange(inside, "b f c h w -> (b f) c h w")
        errors = [
            binary_cross_entropy_with_logits(head(each.float()), target)
            for head, each in zip(self.heads, features, strict=True)
        ]
        return torch.stack(errors).mean()


def look_at_lines(
    network: ControlNetModel, latents: torch.Tensor, timesteps: torch.Tensor, lines: torch.Tensor
) -> list[torch.Tensor]:
    """The features of the network's way down at full size alone, which is the cheapest part of it."""
    hidden = network.conv_in(latents) + network.controlnet_cond_embedding(lines)
    moment = network.time_embedding(network.time_proj(timesteps))
    return [hidden, *network.down_blocks[0](hidden, moment)[1][:2]]


@contextmanager
def noted_features(network: ControlNetModel) -> Iterator[list[torch.Tensor]]:
    """Inside, a forward pass leaves in the list what `look_at_lines` would have returned."""
    features: list[torch.Tensor] = []
    zero_convolutions = network.controlnet_down_blocks[:3]
    hooks = [
        each.register_forward_pre_hook(lambda _module, arguments: features.append(arguments[0]))
        for each in zero_convolutions
    ]
    try:
        yield features
    finally:
        for hook in hooks:
            hook.remove()


def predict_controlled(
    frozen: Frozen, network: ControlNetModel, noisy: torch.Tensor, timesteps: torch.Tensor, clips: Controlled
) -> torch.Tensor:
    """The UNet's prediction b f c h w for noisy clips b f c h w under their lines."""
    context, frames = frozen.encoder.encode(clips.captions), noisy.shape[1]
    down, middle = network(
        rearrange(noisy, "b f c h w -> (b f) c h w"),
        repeat(timesteps, "b -> (b f)", f=frames),
        repeat(context, "b n c -> (b f) n c", f=frames),
        rearrange(clips.lines, "b f c h w -> (b f) c h w"),
        return_dict=False,
    )
    return frozen.predict(noisy, timesteps, context, (*down, middle))


def control_loss(
    frozen: Frozen,
    module: MotionModule,
    network: ControlNetModel,
    clips: Controlled,
    frames: np.ndarray,
    timesteps: torch.Tensor,
) -> torch.Tensor:
    """The v loss: stills by Stable Diffusion's schedule, clips through the motion module by AnimateDiff's."""

    def predict(noisy: torch.Tensor) -> torch.Tensor:
        return predict_controlled(frozen, network, noisy, timesteps, clips)

    if len(frames) == 1:
        return v_loss(clips.latents, alphas_cumprod("scaled_linear")[timesteps], predict)
    with at_positions(module, frames), module.frames(len(frames)), injected(frozen.unet, module):
        return v_loss(clips.latents, alphas_cumprod("linear")[timesteps], predict)


def train_control(
    folder: Path,
    module: MotionModule,
    stages: Sequence[Stage],
    *,
    fill: Stage,
    rate: float,
    seed: int,
    resume: bool = False,
) -> None:
    """Train the ControlNet in stages into folder/controlnet/outline; `rate` is Muon's at the start.

    `fill` comes first: it teaches which cells are inside a line, without the UNet. A stage of one frame is
    about stills, without the motion module.
    """
    rng, save = seeded(seed), folder / "controlnet" / "outline"
    frozen = Frozen.load(folder)
    module.requires_grad_(False)
    network = ControlNetModel.from_pretrained(save) if resume else build_controlnet(frozen.unet)
    # Twice as fast, and unknown to torch's types.
    network.controlnet_cond_embedding.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    inside = Inside()
    both = nn.ModuleDict({"controlnet": network, "inside": inside})
    _fill_lines(frozen, both, fill, rng)
    journal = Journal("control", every=20)
    num_steps = sum(stage.steps for stage in stages)
    trainer = Trainer(both, num_steps, muon=rate, adam=rate / 8, first=ENDS)
    for stage in stages:
        for _ in range(stage.steps):
            frames = pick_frames(rng, stage.num_frames)
            clips = draw_controlled(rng, frozen.code, stage.batch, frames / (world.NUM_FRAMES - 1))
            timesteps = draw_timesteps(stage.batch, high=stage.high, first_high=stage.first_high)
            with noted_features(network) as features:
                loss = control_loss(frozen, module, network, clips, frames, timesteps)
            filled = inside.loss(features, clips.inside)
            trainer.step(loss + INSIDE * filled)
            journal.note(loss=loss, inside=filled)
            if trainer.done % 100 == 0 or trainer.done == num_steps:
                save_average(trainer.averaged("controlnet."), build_controlnet(), save)


def _fill_lines(frozen: Frozen, both: nn.ModuleDict, stage: Stage, rng: np.random.Generator) -> None:
    """Teach the network which cells are inside a line, whatever noise there is."""
    network, inside = cast("ControlNetModel", both["controlnet"]), cast("Inside", both["inside"])
    journal = Journal("filling", every=20)
    trainer = Trainer(both, stage.steps, muon=FILL_RATE, adam=FILL_RATE / 8, first=ENDS)
    for _ in range(stage.steps):
        clips = draw_controlled(rng, frozen.code, stage.batch, rng.random(1))
        timesteps = draw_timesteps(stage.batch, high=stage.high, first_high=stage.first_high)
        noisy, _ = add_noise(
            clips.latents[:, 0],
            torch.randn_like(clips.latents[:, 0]),
            alphas_cumprod("linear")[timesteps],
        )
        with half_precision():
            features = look_at_lines(network, noisy, timesteps, clips.lines[:, 0])
        loss = inside.loss(features, clips.inside)
        trainer.step(loss)
        journal.note(inside=loss)
