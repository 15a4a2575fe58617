"""Stage 4: the motion module, on clips, with the image UNet frozen; AnimateDiff v3's layout and schedule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from einops import rearrange, repeat
from transformers import CLIPTextModel, CLIPTokenizer

from motion_module import MotionModule, injected
from motion_module.writing import write_motion_module
from standalone.training import scenes
from standalone.training.diffusion import add_noise, alphas_cumprod
from standalone.training.image import draw_timesteps, fit_latent_code, use_plain_attention
from standalone.training.latents import LatentCode
from standalone.training.optimizer import Trainer
from standalone.training.text import tokenize


@contextmanager
def at_positions(module: MotionModule, positions: np.ndarray) -> Iterator[None]:
    """Let the clip's frames be those at `positions` of a longer one: their encodings come first."""
    buffers = [buffer for name, buffer in module.named_buffers() if name.endswith("pos_encoder.pe")]
    kept = [buffer.clone() for buffer in buffers]
    for buffer, whole in zip(buffers, kept, strict=True):
        buffer[:, : len(positions)] = whole[:, torch.from_numpy(positions)]
    try:
        yield
    finally:
        for buffer, whole in zip(buffers, kept, strict=True):
            buffer.copy_(whole)


def draw_clips(
    rng: np.random.Generator, code: LatentCode, count: int, frames: np.ndarray
) -> tuple[torch.Tensor, list[str]]:
    """Latents (b f c h w) of `frames` of random clips, and their captions."""
    drawn = [scenes.draw_scene(rng) for _ in range(count)]
    clips = [
        code.encode(scenes.draw_frames(s, scenes.draw_path(s.motion, rng), frames / (scenes.NUM_FRAMES - 1)))
        for s in drawn
    ]
    captions = ["" if rng.random() < 0.1 else scenes.write_caption(s, rng) for s in drawn]
    return torch.stack(clips), captions


def pick_frames(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` of the clip's frames in order."""
    return np.sort(rng.choice(scenes.NUM_FRAMES, count, replace=False))


@dataclass(frozen=True)
class Stage:
    """A part of the training: `steps` batches of `batch` clips with `num_frames` of their frames each.

    `high` is the share of timesteps drawn where the layout is decided.
    """

    steps: int
    batch: int
    num_frames: int
    high: float


@dataclass(frozen=True)
class Frozen:
    """What does not change while motion is learned: the finished stages."""

    tokenizer: CLIPTokenizer
    encoder: CLIPTextModel
    unet: UNet2DConditionModel
    code: LatentCode

    @classmethod
    def load(cls, folder: Path) -> Frozen:
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
        use_plain_attention(unet.requires_grad_(False))
        return cls(
            CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
            unet,
            fit_latent_code(),
        )

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, captions: list[str]) -> torch.Tensor:
        """The UNet's prediction b f c h w for clips b f c h w."""
        frames = noisy.shape[1]
        with torch.no_grad():
            context = self.encoder(tokenize(self.tokenizer, captions)).last_hidden_state
        predicted = self.unet(
            rearrange(noisy, "b f c h w -> (b f) c h w"),
            repeat(timesteps, "b -> (b f)", f=frames),
            repeat(context, "b n c -> (b f) n c", f=frames),
        ).sample
        return rearrange(predicted, "(b f) c h w -> b f c h w", f=frames)


def motion_loss(
    frozen: Frozen,
    module: MotionModule,
    clean: torch.Tensor,
    captions: list[str],
    frames: np.ndarray,
    high: float,
) -> torch.Tensor:
    """The v loss on clips b f c h w at random timesteps of AnimateDiff's linear schedule."""
    batch, num_frames = clean.shape[:2]
    timesteps = draw_timesteps(batch, high=high, first_high=550)
    noise = torch.randn_like(clean) + 0.1 * torch.randn(batch, 1, 4, 1, 1)
    noisy, target = add_noise(clean, noise, alphas_cumprod("linear")[timesteps])
    with at_positions(module, frames), module.frames(num_frames), injected(frozen.unet, module):
        return (frozen.predict(noisy, timesteps, captions) - target).square().mean()


def train_motion(
    folder: Path, module: MotionModule, stages: list[Stage], save: Path, *, rate: float, seed: int
) -> None:
    """Train the module in stages; `rate` is Muon's at the start. Saves the averaged weights as it goes.

    A few frames of many clips teach where to go; whole clips at the end teach steadiness.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    frozen = Frozen.load(folder)
    trainer = Trainer(module, sum(stage.steps for stage in stages), muon=rate, adam=rate / 10)
    losses: list[float] = []
    for stage in stages:
        for _ in range(stage.steps):
            frames = pick_frames(rng, stage.num_frames)
            clean, captions = draw_clips(rng, frozen.code, stage.batch, frames)
            loss = motion_loss(frozen, module, clean, captions, frames, stage.high)
            trainer.step(loss)
            losses.append(loss.item())
            if trainer.done % 50 == 0:
                print(f"motion {trainer.done}: loss {np.mean(losses[-50:]):.5f}", flush=True)
            if trainer.done % 200 == 0 or trainer.done == trainer.steps:
                save_module(module, trainer.average, save)


def save_module(module: MotionModule, average: dict[str, torch.Tensor], path: Path) -> None:
    """Write the averaged weights in the official format, as fp16 safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    averaged = MotionModule(module.spec)
    averaged.load_state_dict({**module.state_dict(), **average})
    write_motion_module(averaged, path, dtype=torch.float16)
