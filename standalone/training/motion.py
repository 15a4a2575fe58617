"""Stage 4: the motion module, trained on clips with the image UNet frozen, in AnimateDiff v3's layout and schedule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from einops import rearrange, repeat
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

from motion_module import MotionModule, injected
from standalone.training import scenes
from standalone.training.diffusion import add_noise, alphas_cumprod
from standalone.training.image import draw_timesteps, fit_latent_code, use_plain_attention
from standalone.training.latents import LatentCode
from standalone.training.optimizer import Trainer
from standalone.training.text import tokenize


@contextmanager
def at_positions(module: MotionModule, positions: np.ndarray) -> Iterator[None]:
    """Let the clip's frames be those at `positions` of a longer one: their position encodings come first meanwhile."""
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


def train_motion(folder: Path, module: MotionModule, stages: list[tuple[int, int, int, float]], save: Path) -> None:
    """Train on stages of (steps, clips a batch, frames of each, share of high timesteps); saves what it has.

    A few frames of many clips teach where to go; whole clips at the end teach steadiness.
    """
    torch.manual_seed(4)
    rng = np.random.default_rng(4)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").requires_grad_(False)
    use_plain_attention(unet)
    code, kept = fit_latent_code(), alphas_cumprod("linear")
    trainer = Trainer(module, sum(steps for steps, *_ in stages), muon=0.01, adam=1e-3)
    losses: list[float] = []
    for steps, batch, num_frames, high in stages:
        for _ in range(steps):
            frames = pick_frames(rng, num_frames)
            clean, captions = draw_clips(rng, code, batch, frames)
            with torch.no_grad():
                context = encoder(tokenize(tokenizer, captions)).last_hidden_state
            timesteps = draw_timesteps(batch, high=high, first_high=550)
            noise = torch.randn_like(clean) + 0.1 * torch.randn(batch, 1, 4, 1, 1)
            noisy, target = add_noise(clean, noise, kept[timesteps])
            with at_positions(module, frames), module.frames(num_frames), injected(unet, module):
                predicted = unet(
                    rearrange(noisy, "b f c h w -> (b f) c h w"),
                    repeat(timesteps, "b -> (b f)", f=num_frames),
                    repeat(context, "b n c -> (b f) n c", f=num_frames),
                ).sample
            loss = (predicted - rearrange(target, "b f c h w -> (b f) c h w")).square().mean()
            trainer.step(loss)
            losses.append(loss.item())
            if trainer.done % 50 == 0:
                print(f"motion {trainer.done}: loss {np.mean(losses[-50:]):.5f}", flush=True)
            if trainer.done % 200 == 0 or trainer.done == trainer.steps:
                save_module(module, trainer.average, save)


def save_module(module: MotionModule, average: dict[str, torch.Tensor], path: Path) -> None:
    """Write the averaged weights in the official format, as fp16 safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {**module.state_dict(), **average}
    save_file({name: weight.half().contiguous() for name, weight in weights.items()}, path)
