"""The prompts of the evaluation: combinations that the training never saw."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product

import numpy as np

from demo_model.world import (
    BACKGROUND_COLORS,
    MOTIONS,
    OBJECT_COLORS,
    SHAPES,
    Scene,
    is_held_out,
    write_caption,
)


@dataclass(frozen=True)
class Question:
    """A prompt, and what its clip should show."""

    prompt: str
    scene: Scene
    seed: int


def build_questions(count: int) -> list[Question]:
    """`count` questions, the same every time, taking the motions and the shapes in turn."""
    rng = np.random.default_rng(2024)
    by_kind: dict[tuple[str, str], list[Scene]] = defaultdict(list)
    for look in product(OBJECT_COLORS, SHAPES, BACKGROUND_COLORS, MOTIONS):
        scene = Scene(*look)
        if scene.color != scene.background and is_held_out(scene):
            by_kind[scene.shape, scene.motion].append(scene)
    kinds = list(product(SHAPES, MOTIONS))
    questions: list[Question] = []
    for index in range(count):
        choices = by_kind[kinds[index % len(kinds)]]
        scene = choices[int(rng.integers(len(choices)))]
        questions.append(Question(write_caption(scene, rng), scene, 1000 + index))
    return questions
