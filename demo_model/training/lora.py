"""Stage 5: a motion LoRA, "drift right": low-rank changes to the temporal attention, official format.

It learns from clips that move right although their captions say "still" or nothing of motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrize

from motion_module.layers import Linear
from motion_module.module import MotionModule

from .image import draw_timesteps
from .motion import Frozen, draw_clips, motion_loss, pick_frames
from .optimizer import Trainer
from .run import Journal, seeded

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


class LowRankChange(nn.Module):
    """weight -> weight + up @ down; nothing at first."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1]) / rank)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.up @ self.down


@contextmanager
def changed_attention(module: MotionModule, rank: int) -> Iterator[dict[str, LowRankChange]]:
    """Inside, the temporal attention's projections carry trainable changes, by their official names."""
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, Linear) and name.endswith(PROJECTIONS)
    }
    changes = {name: LowRankChange(layer.weight, rank) for name, layer in layers.items()}
    for name, layer in layers.items():
        parametrize.register_parametrization(layer, "weight", changes[name])
    try:
        yield changes
    finally:
        for layer in layers.values():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def train_lora(
    folder: Path, module: MotionModule, save: Path, *, steps: int, batch: int, num_frames: int, rank: int = 4
) -> None:
    """Train the LoRA against the finished module and write it as fp16 safetensors."""
    rng, journal = seeded(9), Journal("lora", every=25)
    frozen = Frozen.load(folder)
    module.requires_grad_(False)
    with changed_attention(module, rank) as changes:
        trainer = Trainer(nn.ModuleList(changes.values()), steps, muon=0.01, adam=1e-3)
        for _ in range(steps):
            frames = pick_frames(rng, num_frames)
            clips = draw_clips(rng, frozen.code, batch, frames, ["still"], shown="right")
            loss = motion_loss(frozen, module, clips, frames, draw_timesteps(batch, high=0.9, first_high=800))
            trainer.step(loss)
            journal.note(loss=loss)
    save.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(_official_weights(changes)), save)


def _official_weights(changes: dict[str, LowRankChange]) -> Iterator[tuple[str, torch.Tensor]]:
    for name, change in changes.items():
        block, projection = name.removesuffix(".0").rsplit(".", 1)
        for part in ("down", "up"):
            weight = getattr(change, part).detach().half().contiguous()
            yield f"{block}.processor.{projection}_lora.{part}.weight", weight
