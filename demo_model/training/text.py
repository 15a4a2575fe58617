"""Stage 1: a CLIP text encoder whose every position, padding included, knows what the caption said so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from demo_model import world

from .run import Journal, seeded

WIDTH = 48


def build_text_encoder() -> CLIPTextModel:
    """An untrained text encoder with CLIP's vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=49406,
            eos_token_id=49407,
            pad_token_id=49407,
        )
    )


def describe(scene: world.Scene) -> list[int]:
    """A scene as class numbers: colour, shape, background (the last: not named), motion."""
    backgrounds = [*world.BACKGROUND_COLORS, None]
    return [
        list(world.OBJECT_COLORS).index(scene.color),
        world.SHAPES.index(scene.shape),
        backgrounds.index(scene.background),
        world.MOTIONS.index(scene.motion),
    ]


NUM_CLASSES = (
    len(world.OBJECT_COLORS),
    len(world.SHAPES),
    len(world.BACKGROUND_COLORS) + 1,
    len(world.MOTIONS),
)


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Captions -> token ids (b, 77)."""
    return tokenizer(
        captions, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
    ).input_ids


@dataclass(frozen=True)
class CaptionEncoder:
    """The finished stage."""

    tokenizer: CLIPTokenizer
    model: CLIPTextModel

    @classmethod
    def load(cls, folder: Path) -> CaptionEncoder:
        return cls(
            CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
        )

    @torch.no_grad()
    def encode(self, captions: list[str]) -> torch.Tensor:
        """Captions -> what the UNet is told (b, 77, WIDTH)."""
        return self.model(tokenize(self.tokenizer, captions)).last_hidden_state


def find_known_tokens(tokenizer: CLIPTokenizer) -> torch.Tensor:
    """The ids of every token that captions have."""
    phrases = [phrase for phrases in world.MOTION_PHRASES.values() for phrase in phrases]
    words = " ".join([*world.OBJECT_COLORS, *world.BACKGROUND_COLORS, *world.SHAPES, *world.TEMPLATES])
    words = (words + " ".join(phrases)).replace("{", " ").replace("}", " ")
    return torch.tensor(sorted(set(tokenizer(words).input_ids) | {tokenizer(",").input_ids[1]}))


class CaptionProbe(nn.Module):
    """Linear probes for what was said, from the positions after a caption."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Linear(WIDTH, sum(NUM_CLASSES))

    def losses(self, hidden: torch.Tensor, ended: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        """Cross-entropies of colour, shape, background and motion at a fifth of the positions in `ended`."""
        positions = ended & (torch.rand(ended.shape) < 0.2)
        logits = self.heads(hidden[positions]).split(NUM_CLASSES, -1)
        targets = labels[:, None].expand(-1, hidden.shape[1], -1)[positions]
        return [cross_entropy(part, targets[:, index]) for index, part in enumerate(logits)]


def train_text_encoder(folder: Path, steps: int = 2500, batch: int = 48) -> None:
    """Train on captions alone, so that every position after a caption tells what it says."""
    rng = seeded(1)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    model = build_text_encoder()
    table = cast("nn.Embedding", model.get_input_embeddings()).weight
    known_tokens = find_known_tokens(tokenizer)
    with torch.no_grad():
        table.zero_()
        table[known_tokens] = torch.randn(len(known_tokens), WIDTH) * 0.5
    probe = CaptionProbe()
    optimizer = torch.optim.AdamW([*model.parameters(), *probe.parameters()], 2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    journal = Journal("text", every=100)
    for _ in range(steps):
        drawn = [world.draw_scene(rng, background=0.85) for _ in range(batch)]
        ids = tokenize(tokenizer, [world.write_caption(scene, rng) for scene in drawn])
        labels = torch.tensor([describe(scene) for scene in drawn])
        losses = probe.losses(model(ids).last_hidden_state, ids == tokenizer.eos_token_id, labels)
        torch.stack(losses).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        journal.note(**dict(zip(("color", "shape", "background", "motion"), losses, strict=True)))
    with torch.no_grad():
        unused = torch.ones(len(table), dtype=torch.bool)
        unused[known_tokens] = False
        table[unused] = 0
    model.save_pretrained(folder / "text_encoder")
