"""Stage 1: a CLIP text encoder whose every position, padding included, knows what the caption said so far."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from standalone.training import scenes

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


def describe(scene: scenes.Scene) -> list[int]:
    """A scene as class numbers: colour, shape, background (the last: not named), motion."""
    backgrounds = [*scenes.BACKGROUND_COLORS, None]
    return [
        list(scenes.OBJECT_COLORS).index(scene.color),
        scenes.SHAPES.index(scene.shape),
        backgrounds.index(scene.background),
        scenes.MOTIONS.index(scene.motion),
    ]


NUM_CLASSES = (
    len(scenes.OBJECT_COLORS),
    len(scenes.SHAPES),
    len(scenes.BACKGROUND_COLORS) + 1,
    len(scenes.MOTIONS),
)


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Captions -> token ids (b, 77)."""
    return tokenizer(
        captions, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
    ).input_ids


def train_text_encoder(folder: Path, steps: int = 2500, batch: int = 48) -> None:
    """Train on captions alone: linear readouts of what was said, from every position after the caption."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    model = build_text_encoder()
    table = cast("nn.Embedding", model.get_input_embeddings()).weight
    with torch.no_grad():
        words = " ".join(
            [*scenes.OBJECT_COLORS, *scenes.BACKGROUND_COLORS, *scenes.SHAPES, *scenes.TEMPLATES]
        )
        words += " ".join(phrase for phrases in scenes.MOTION_PHRASES.values() for phrase in phrases)
        words = words.replace("{", " ").replace("}", " ")
        known = torch.tensor(sorted(set(tokenizer(words).input_ids) | {tokenizer(",").input_ids[1]}))
        table.zero_()
        table[known] = torch.randn(len(known), WIDTH) * 0.5
    heads = nn.Linear(WIDTH, sum(NUM_CLASSES))
    optimizer = torch.optim.AdamW([*model.parameters(), *heads.parameters()], 2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        drawn = [scenes.draw_scene(rng, background=0.85) for _ in range(batch)]
        ids = tokenize(tokenizer, [scenes.write_caption(scene, rng) for scene in drawn])
        labels = torch.tensor([describe(scene) for scene in drawn])
        hidden = model(ids).last_hidden_state
        ended = (ids == tokenizer.eos_token_id) & (torch.rand(ids.shape) < 0.2)
        logits = heads(hidden[ended]).split(NUM_CLASSES, -1)
        targets = labels[:, None].expand(-1, ids.shape[1], -1)[ended]
        loss = sum((cross_entropy(part, targets[:, i]) for i, part in enumerate(logits)), torch.zeros(()))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            right = [
                (part.argmax(-1) == targets[:, i]).float().mean().item() for i, part in enumerate(logits)
            ]
            print(f"text {step}: loss {loss.item():.4f}, right {[round(r, 3) for r in right]}", flush=True)
    with torch.no_grad():
        unused = torch.ones(len(table), dtype=torch.bool)
        unused[known] = False
        table[unused] = 0
    model.save_pretrained(folder / "text_encoder")
