"""The prompts of the evaluation: combinations that the training never saw."""

from __future__ import annotations

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
    scenes = [
        Scene(color, shape, background, motion)
        for color, shape, background, motion in product(OBJECT_COLORS, SHAPES, BACKGROUND_COLORS, MOTIONS)
        if color != background and is_held_out(Scene(color, shape, background, motion))
    ]
    kinds = list(product(SHAPES, MOTIONS))
    by_kind = {kind: [s for s in scenes if (s.shape, s.motion) == kind] for kind in kinds}
    questions: list[Question] = []
    for index in range(count):
        choices = by_kind[kinds[index % len(kinds)]]
        scene = choices[int(rng.integers(len(choices)))]
        questions.append(Question(write_caption(scene, rng), scene, 1000 + index))
    return questions
