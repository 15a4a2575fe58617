"""The world the embedded model knows: one coloured shape that moves over a coloured background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

SIZE = 128
NUM_FRAMES = 16
RADIUS = (26.0, 29.0)
MARGIN = 5.0
TRAVEL = (0.38, 0.46)
LINE_WIDTH = 2.5

OBJECT_COLORS: dict[str, tuple[int, int, int]] = {
    "red": (222, 48, 52),
    "green": (52, 168, 83),
    "blue": (48, 96, 222),
    "yellow": (250, 208, 44),
    "purple": (146, 66, 196),
    "white": (246, 246, 244),
}
BACKGROUND_COLORS: dict[str, tuple[int, int, int]] = {**OBJECT_COLORS, "black": (28, 28, 34)}
SHAPES = ("circle", "square", "triangle", "star", "heart")
MOTIONS = ("right", "left", "up", "down", "still")
STEP: dict[str, tuple[int, int]] = {
    "right": (1, 0),
    "left": (-1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "still": (0, 0),
}


@dataclass(frozen=True)
class Scene:
    """What a clip shows; `background` None stands for the default, white (black behind a white object)."""

    color: str
    shape: str
    background: str | None = None
    motion: str = "still"

    @property
    def shown_background(self) -> str:
        return self.background or ("black" if self.color == "white" else "white")


@dataclass(frozen=True)
class Path:
    """The object's centre and radius over the clip, in pixels."""

    start: tuple[float, float]
    end: tuple[float, float]
    radius: float

    def centers(self, positions: np.ndarray) -> np.ndarray:
        """Centres (n, 2) at `positions` (0..1) along the path."""
        start, end = np.asarray(self.start), np.asarray(self.end)
        return start + (end - start) * positions[:, None]


def draw_path(motion: str, rng: np.random.Generator) -> Path:
    """A random path of that motion which keeps the whole object inside the picture."""
    radius = rng.uniform(*RADIUS)
    low, high = radius + MARGIN, SIZE - radius - MARGIN
    center = rng.uniform(low, high, 2)
    travel = min(rng.uniform(*TRAVEL) * SIZE, high - low)
    start, end = center.copy(), center.copy()
    for axis, sign in enumerate(STEP[motion]):
        if sign:
            first = low + rng.random() * (high - low - travel)
            start[axis], end[axis] = (first, first + travel)[::sign]
    return Path((start[0], start[1]), (end[0], end[1]), radius)


def _outline(shape: str) -> np.ndarray:
    """The polygon of a shape, centred, of about the area of a circle of radius 0.95."""
    if shape == "square":
        return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.86
    if shape == "triangle":
        angles = np.radians([-90, 30, 150])
        return np.stack([np.cos(angles), np.sin(angles)], 1) * 1.28 + (0, 0.18)
    if shape == "star":
        angles = np.radians(np.arange(10) * 36 - 90)
        radii = np.where(np.arange(10) % 2 == 0, 1.22, 0.54)[:, None]
        return np.stack([np.cos(angles), np.sin(angles)], 1) * radii
    turn = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    if shape == "heart":
        x = 16 * np.sin(turn) ** 3
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
        return np.stack([x, -y], 1) / 15.0 + (0, -0.08)
    return np.stack([np.cos(turn), np.sin(turn)], 1) * 0.97


@cache
def distance_field(shape: str, resolution: int = 192, extent: float = 1.6) -> torch.Tensor:
    """Signed distance to a shape's outline, in radii, on a grid over [-extent, extent]^2: (1, 1, r, r)."""
    corners = _outline(shape)
    axis = np.linspace(-extent, extent, resolution)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2)
    first, second = corners[None], np.roll(corners, -1, 0)[None]
    edge, offset = second - first, points - first
    along = np.clip((offset * edge).sum(-1) / (edge * edge).sum(-1), 0, 1)
    distance = np.linalg.norm(offset - along[..., None] * edge, axis=-1).min(1)
    above, above_next = points[..., 1] < first[..., 1], points[..., 1] < second[..., 1]
    crossing = (
        first[..., 0]
        + (points[..., 1] - first[..., 1]) / np.where(edge[..., 1] == 0, 1, edge[..., 1]) * edge[..., 0]
    )
    inside = ((above != above_next) & (points[..., 0] < crossing)).sum(1) % 2 == 1
    field = np.where(inside, -distance, distance).reshape(1, 1, resolution, resolution)
    return torch.from_numpy(field.astype(np.float32))


def signed_distance(
    shape: str, centers: torch.Tensor, radii: torch.Tensor, size: int = SIZE, extent: float = 1.6
) -> torch.Tensor:
    """Distance (n, 1, size, size) to the outline of a shape at `centers` (n, 2) with `radii` (n,); all in
    pixels, negative inside."""
    pixels = torch.arange(size, dtype=torch.float32) + 0.5
    x = (pixels[None, None, :] - centers[:, 0, None, None]) / (radii[:, None, None] * extent)
    y = (pixels[None, :, None] - centers[:, 1, None, None]) / (radii[:, None, None] * extent)
    grid = torch.stack([x.expand(-1, size, -1), y.expand(-1, -1, size)], -1)
    field = distance_field(shape).expand(len(centers), -1, -1, -1)
    distance = torch.nn.functional.grid_sample(field, grid, padding_mode="border", align_corners=True)
    return distance * radii[:, None, None, None]


def cover(shape: str, centers: torch.Tensor, radii: torch.Tensor, size: int = SIZE) -> torch.Tensor:
    """Coverage (n, 1, size, size) in 0..1 of a shape at `centers` (n, 2) with `radii` (n,), in pixels."""
    return (0.5 - signed_distance(shape, centers, radii, size)).clamp(0, 1)


def draw_outlines(
    shape: str, centers: torch.Tensor, radii: torch.Tensor, width: float = LINE_WIDTH
) -> torch.Tensor:
    """White lines on black (n, 3, SIZE, SIZE) in 0..1: where a shape at `centers` (n, 2) ends; in pixels."""
    distance = signed_distance(shape, centers, radii)
    return (width / 2 + 0.5 - distance.abs()).clamp(0, 1).expand(-1, 3, -1, -1)


@cache
def background_picture(color: str, size: int = SIZE) -> torch.Tensor:
    """The background (3, size, size) in 0..1: a little lighter at the top than at the bottom."""
    base = torch.tensor(BACKGROUND_COLORS[color]).float() / 255
    shade = torch.linspace(1.0, 0.86, size)[None, :, None]
    return (base[:, None, None] * shade).expand(3, size, size)


def draw_frames(scene: Scene, path: Path, positions: np.ndarray) -> torch.Tensor:
    """Frames (n, 3, SIZE, SIZE) in 0..1 at `positions` (0..1) along the path."""
    centers = torch.from_numpy(path.centers(positions)).float()
    return draw_objects(scene, centers, torch.full((len(centers),), path.radius))


def draw_objects(scene: Scene, centers: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    """Pictures (n, 3, SIZE, SIZE) in 0..1 of the scene's object at `centers` (n, 2) with `radii` (n,)."""
    color = torch.tensor(OBJECT_COLORS[scene.color]).float()[:, None, None] / 255
    return torch.lerp(background_picture(scene.shown_background), color, cover(scene.shape, centers, radii))


def draw_scene(
    rng: np.random.Generator, *, background: float = 0.92, motions: Sequence[str] = MOTIONS
) -> Scene:
    """A random scene that is not held out; `background` is the share that names its background."""
    while True:
        color = str(rng.choice(list(OBJECT_COLORS)))
        others = [name for name in BACKGROUND_COLORS if name != color]
        named = str(rng.choice(others)) if rng.random() < background else None
        scene = Scene(color, str(rng.choice(SHAPES)), named, str(rng.choice(motions)))
        if not is_held_out(scene):
            return scene


def is_held_out(scene: Scene) -> bool:
    """Every seventh combination is never trained on: the evaluation's prompts come from these."""
    if scene.background is None:
        return False
    colors, backgrounds = list(OBJECT_COLORS), list(BACKGROUND_COLORS)
    code = (
        colors.index(scene.color)
        + 2 * backgrounds.index(scene.background)
        + 3 * SHAPES.index(scene.shape)
        + 5 * MOTIONS.index(scene.motion)
    )
    return code % 7 == 0


MOTION_PHRASES: dict[str, tuple[str, ...]] = {
    "right": ("moving right", "moving to the right", "sliding right", "moves to the right"),
    "left": ("moving left", "moving to the left", "sliding left", "moves to the left"),
    "up": ("moving up", "moving upwards", "rising", "moves up"),
    "down": ("moving down", "moving downwards", "falling", "moves down"),
    "still": ("standing still", "not moving", "still", ""),
}
TEMPLATES = (
    "a {color} {shape} {motion} on a {background} background",
    "{color} {shape} {motion}, {background} background",
    "a {color} {shape} on a {background} background, {motion}",
    "a {color} {shape} {motion} over {background}",
    "{background} background, {color} {shape}, {motion}",
)
SHORT_TEMPLATES = ("a {color} {shape} {motion}", "{color} {shape}, {motion}", "{color} {shape} {motion}")


def write_caption(scene: Scene, rng: np.random.Generator) -> str:
    """One of several phrasings of the scene."""
    template = str(rng.choice(TEMPLATES if scene.background else SHORT_TEMPLATES))
    phrase = str(rng.choice(MOTION_PHRASES[scene.motion]))
    text = template.format(color=scene.color, shape=scene.shape, background=scene.background, motion=phrase)
    return " ".join(text.replace(" ,", ",").split()).strip(" ,")
