"""Ways of an object that the training never drew, which knows straight ones only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from demo_model.world import (
    BACKGROUND_COLORS,
    NUM_FRAMES,
    OBJECT_COLORS,
    SHAPES,
    SIZE,
    Scene,
    is_held_out,
)

RADIUS = (24.0, 30.0)
EDGE = 6.0
EVEN = "curve"
"""The way whose object is as fast all the time."""


@dataclass(frozen=True)
class Track:
    """An object's centres (n, 2) and radii (n,) in pixels, a row a frame."""

    centers: torch.Tensor
    radii: torch.Tensor


@dataclass(frozen=True)
class TrackQuestion:
    """A prompt that says nothing of motion, the way its object is to go, and what it should look like."""

    prompt: str
    scene: Scene
    kind: str
    track: Track
    seed: int


def build_track_questions(
    count: int, num_frames: int = NUM_FRAMES, *, kinds: Sequence[str] = ()
) -> list[TrackQuestion]:
    """`count` questions of held-out scenes, the same every time, taking ways and shapes in turn.

    The ways are of `kinds`, of all there are in `TRACKS` where none is named.
    """
    rng, ways = np.random.default_rng(2025), tuple(kinds) or tuple(TRACKS)
    scenes = [
        Scene(color, shape, background)
        for color, shape, background in product(OBJECT_COLORS, SHAPES, BACKGROUND_COLORS)
        if color != background and is_held_out(Scene(color, shape, background))
    ]
    questions: list[TrackQuestion] = []
    for index in range(count):
        shape, kind = SHAPES[index % len(SHAPES)], ways[index % len(ways)]
        choices = [scene for scene in scenes if scene.shape == shape]
        scene = choices[int(rng.integers(len(choices)))]
        prompt = f"a {scene.color} {scene.shape} on a {scene.background} background"
        track = draw_track(kind, rng, num_frames)
        questions.append(TrackQuestion(prompt, scene, kind, track, 3000 + index))
    return questions


def draw_track(kind: str, rng: np.random.Generator, num_frames: int = NUM_FRAMES) -> Track:
    """A random way of a kind in `TRACKS`, inside the picture."""
    centers, radii = TRACKS[kind](rng, np.linspace(0, 1, num_frames))
    return Track(torch.from_numpy(centers).float(), torch.from_numpy(radii).float())


Drawn = tuple[np.ndarray, np.ndarray]


def _curve(rng: np.random.Generator, when: np.ndarray) -> Drawn:
    """Two fifths to two thirds of a circle about the middle."""
    angles = rng.uniform(0, 2 * math.pi) + rng.choice((-1, 1)) * when * rng.uniform(0.8, 1.4) * math.pi
    around = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(20, 28)
    return SIZE / 2 + around, np.full(len(when), rng.uniform(*RADIUS))


def _turn(rng: np.random.Generator, when: np.ndarray) -> Drawn:
    """Along one edge of the picture, then along the next."""
    radius = rng.uniform(*RADIUS)
    low, high = radius + EDGE, SIZE - radius - EDGE
    corners = np.array([(low, low), (high, low), (high, high), (low, high)])
    stops = corners[(rng.integers(4) + rng.choice((-1, 1)) * np.arange(3)) % 4]
    return _along(when, [0, 0.5, 1], stops), np.full(len(when), radius)


def _grow(rng: np.random.Generator, when: np.ndarray) -> Drawn:
    """In one place, to nearly twice its size or to half of it."""
    first, last = rng.permutation([rng.uniform(18, 20), rng.uniform(30, 33)])
    place = rng.uniform(SIZE / 2 - 12, SIZE / 2 + 12, 2)
    return np.tile(place, (len(when), 1)), first + (last - first) * when


def _two_speeds(rng: np.random.Generator, when: np.ndarray) -> Drawn:
    """Straight across, slowly first, then four times as fast."""
    radius = rng.uniform(*RADIUS)
    low, high = radius + EDGE, SIZE - radius - EDGE
    ends = rng.uniform(low, high, (2, 2))
    ends[:, rng.integers(2)] = rng.permutation([low, high])
    slow = 2 / 3
    reached = slow / (4 - 3 * slow)
    stops = ends[0] + np.outer([0, reached, 1], ends[1] - ends[0])
    return _along(when, [0, slow, 1], stops), np.full(len(when), radius)


def _along(when: np.ndarray, times: list[float], stops: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(when, times, stops[:, axis]) for axis in range(2)], 1)


TRACKS: dict[str, Callable[[np.random.Generator, np.ndarray], Drawn]] = {
    EVEN: _curve,
    "turn": _turn,
    "growing or shrinking": _grow,
    "two speeds": _two_speeds,
}
