"""Stage 4: the motion module, on clips, with the image UNet frozen; AnimateDiff v3's layout and schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from einops import rearrange, repeat
from torch import nn
from torch.nn.functional import layer_norm

from demo_model import world
from motion_module.injection import injected
from motion_module.module import MotionModule
from motion_module.writing import write_motion_module

from .diffusion import alphas_cumprod, v_loss
from .image import draw_timesteps, fit_latent_code, use_plain_attention
from .latents import LatentCode
from .optimizer import Trainer
from .run import Journal, seeded
from .text import CaptionEncoder

WHEREABOUTS = 0.5
ENCODINGS = ("pos_encoder.pe", "pos_embed.pe")


@contextmanager
def at_positions(module: nn.Module, positions: np.ndarray) -> Iterator[None]:
    """Let the clip's frames be those at `positions` of a longer one: their encodings come first.

    `module` has AnimateDiff's positional encodings or diffusers'.
    """
    buffers = [buffer for name, buffer in module.named_buffers() if name.endswith(ENCODINGS)]
    saved = [buffer.clone() for buffer in buffers]
    for buffer, whole in zip(buffers, saved, strict=True):
        buffer[:, : len(positions)] = whole[:, torch.from_numpy(positions)]
    try:
        yield
    finally:
        for buffer, whole in zip(buffers, saved, strict=True):
            buffer.copy_(whole)


@dataclass(frozen=True)
class Clips:
    """Latents `b f c h w`, captions, where the object is: (b, f, 2), from -1 to 1, and what they show."""

    latents: torch.Tensor
    captions: list[str]
    centers: torch.Tensor
    scenes: list[world.Scene]


def draw_clips(
    rng: np.random.Generator,
    code: LatentCode,
    count: int,
    frames: np.ndarray,
    motions: Sequence[str] = world.MOTIONS,
    shown: str | None = None,
) -> Clips:
    """`frames` of random clips of these motions; all move as `shown`, whatever is said, where it is given."""
    drawn = [world.draw_scene(rng, motions=motions) for _ in range(count)]
    paths = [world.draw_path(shown or scene.motion, rng) for scene in drawn]
    when = frames / (world.NUM_FRAMES - 1)
    return Clips(
        torch.stack([code.encode(world.draw_frames(s, p, when)) for s, p in zip(drawn, paths, strict=True)]),
        ["" if rng.random() < 0.1 else world.write_caption(scene, rng) for scene in drawn],
        torch.tensor(np.stack([path.centers(when) for path in paths])).float() / world.SIZE * 2 - 1,
        drawn,
    )


def pick_frames(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` of the clip's frames in order, one from each of as many equal parts of it."""
    edges = np.linspace(0, world.NUM_FRAMES, count + 1).astype(int)
    return np.array([rng.integers(low, high) for low, high in pairwise(edges)])


@dataclass(frozen=True)
class Stage:
    """A part of the training: `steps` batches of `batch` clips with `num_frames` of their frames each.

    A share `high` of timesteps comes from `first_high` on: near 1000, only the caption tells where the object
    goes; from about 800 on, the noise still hides some of it.
    """

    steps: int
    batch: int
    num_frames: int
    high: float
    first_high: int = 800
    motions: tuple[str, ...] = world.MOTIONS


@dataclass(frozen=True)
class Frozen:
    """What does not change while motion is learned: the finished stages."""

    encoder: CaptionEncoder
    unet: UNet2DConditionModel
    code: LatentCode

    @classmethod
    def load(cls, folder: Path) -> Frozen:
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)
        use_plain_attention(unet.requires_grad_(False))
        return cls(CaptionEncoder.load(folder), unet, fit_latent_code())

    def predict(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        context: torch.Tensor,
        residuals: Sequence[torch.Tensor] = (),
    ) -> torch.Tensor:
        """The UNet's prediction b f c h w for clips b f c h w, with captions b n c.

        `residuals` `(b f) c h w` are what another network adds to its way down, and last to its middle.
        """
        frames = noisy.shape[1]
        predicted = self.unet(
            rearrange(noisy, "b f c h w -> (b f) c h w"),
            repeat(timesteps, "b -> (b f)", f=frames),
            repeat(context, "b n c -> (b f) n c", f=frames),
            down_block_additional_residuals=tuple(residuals[:-1]) or None,
            mid_block_additional_residual=residuals[-1] if residuals else None,
        ).sample
        return rearrange(predicted, "(b f) c h w -> b f c h w", f=frames)


class PositionProbe(nn.Module):
    """Linear probes for the object's centre in each frame from the features of some blocks.

    The loss of the prediction alone hardly says that the caption tells where the object is in which frame:
    without this, directions took longer to appear than everything else together.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.features: list[torch.Tensor] = []
        blocks = [unet.up_blocks[0], unet.up_blocks[1], unet.up_blocks[2]]
        self.heads = nn.ModuleList(nn.Linear(width, 2) for width in (96, 96, 64))
        for head in self.heads:
            nn.init.zeros_(cast("nn.Linear", head).weight)
        self.hooks = [block.register_forward_hook(self._keep) for block in blocks]

    def _keep(self, _module: nn.Module, _args: object, output: torch.Tensor) -> None:
        features = output.float().mean((2, 3))
        self.features.append(layer_norm(features, features.shape[1:]))

    def loss(self, centers: torch.Tensor) -> torch.Tensor:
        """The mean squared error of the last forward pass."""
        where = rearrange(centers, "b f xy -> (b f) xy")
        errors = [head(features) - where for head, features in zip(self.heads, self.features, strict=True)]
        self.features.clear()
        return torch.stack([error.square().mean() for error in errors]).mean()


def motion_loss(
    frozen: Frozen, module: MotionModule, clips: Clips, frames: np.ndarray, timesteps: torch.Tensor
) -> torch.Tensor:
    """The v loss at `timesteps` (b,) of AnimateDiff's linear schedule."""
    alpha_cumprod = alphas_cumprod("linear")[timesteps]

    context = frozen.encoder.encode(clips.captions)

    def predict(noisy: torch.Tensor) -> torch.Tensor:
        return frozen.predict(noisy, timesteps, context)

    with at_positions(module, frames), module.frames(len(frames)), injected(frozen.unet, module):
        return v_loss(clips.latents, alpha_cumprod, predict)


def train_motion(
    folder: Path, module: MotionModule, stages: list[Stage], save: Path, *, rate: float, seed: int
) -> None:
    """Train the module in stages; `rate` is Muon's at the start. Saves the averaged weights as it goes.

    A few frames of many clips teach where to go; whole clips at the end teach steadiness.
    """
    rng, journal = seeded(seed), Journal("motion")
    frozen = Frozen.load(folder)
    probe = PositionProbe(frozen.unet)
    both = nn.ModuleDict({"module": module, "probe": probe})
    num_steps = sum(stage.steps for stage in stages)
    trainer = Trainer(both, num_steps, muon=rate, adam=rate / 10, first=("probe",))
    for stage in stages:
        for _ in range(stage.steps):
            frames = pick_frames(rng, stage.num_frames)
            clips = draw_clips(rng, frozen.code, stage.batch, frames, stage.motions)
            timesteps = draw_timesteps(stage.batch, high=stage.high, first_high=stage.first_high)
            loss = motion_loss(frozen, module, clips, frames, timesteps)
            lost = probe.loss(clips.centers)
            trainer.step(loss + WHEREABOUTS * lost)
            journal.note(loss=loss, where=lost)
            if trainer.done % 200 == 0 or trainer.done == trainer.steps:
                save_module(module, trainer.averaged("module."), save)
    for hook in probe.hooks:
        hook.remove()


def save_module(module: MotionModule, average: dict[str, torch.Tensor], path: Path) -> None:
    """Write the averaged weights in the official format, as fp16 safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    averaged = MotionModule(module.spec)
    averaged.load_state_dict({**module.state_dict(), **average})
    write_motion_module(averaged, path, dtype=torch.float16)
