"""Reads a clip of one shape on a plain background with geometry alone, no network: colours, outline, path."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from PIL import Image

from demo_model.world import BACKGROUND_COLORS, OBJECT_COLORS, SHAPES, cover

from .outlines import neighbour_overlap

BORDER = 5
VISIBLE = 0.12
STILL = 0.1


@dataclass(frozen=True)
class FrameJudgement:
    """One frame: colours by name; the object as RGB (3,) in 0..1, mask (h, w), and centre in pixels."""

    background_color: str
    object_color: str | None
    object_rgb: np.ndarray | None
    mask: np.ndarray
    center: tuple[float, float] | None


@dataclass(frozen=True)
class ClipJudgement:
    """A clip; lengths are fractions of the width.

    `displacement` is how far the object got from the first to the last frame, `drift` its largest distance
    from where it began, `jerk` the mean change of its step between frames, `flicker` that of its area, and
    `likeness` how much neighbouring frames' outlines overlap once they are moved onto each other.
    `coherent` says that the object is there in every frame and moves as one thing does.
    """

    object_color: str | None
    background_color: str
    shape: str | None
    direction: str | None
    displacement: float
    drift: float
    jerk: float
    flicker: float
    likeness: float
    coherent: bool


def nearest_color(color: np.ndarray, palette: dict[str, tuple[int, int, int]]) -> str:
    """The name in the palette whose colour is nearest in RGB; `color` (3,) in 0..1."""
    return min(palette, key=lambda name: float(((np.array(palette[name]) / 255 - color) ** 2).sum()))


def fit_background(pixels: np.ndarray) -> np.ndarray:
    """The plane through the border's colours, without outliers: (h, w, 3)."""
    height, width, _ = pixels.shape
    y, x = np.mgrid[0:height, 0:width]
    design = np.stack([np.ones_like(x), x / width, y / height], -1).astype(float)
    edge = np.ones((height, width), bool)
    edge[BORDER:-BORDER, BORDER:-BORDER] = False
    inliers = edge
    for _ in range(3):
        plane, *_ = np.linalg.lstsq(design[inliers], pixels[inliers], rcond=None)
        error = np.abs(design @ plane - pixels).max(-1)
        inliers = edge & (error <= max(0.04, float(np.median(error[edge])) * 2))
    return design @ plane


def judge_frame(frame: Image.Image) -> FrameJudgement:
    """Find the object: what differs from the background by half of the strongest difference."""
    pixels = np.asarray(frame.convert("RGB"), dtype=float) / 255
    background = fit_background(pixels)
    distance = np.linalg.norm(pixels - background, axis=-1)
    strongest = float(np.quantile(distance, 0.985))
    name = nearest_color(background.mean((0, 1)), BACKGROUND_COLORS)
    if strongest < VISIBLE:
        return FrameJudgement(name, None, None, np.zeros(distance.shape, bool), None)
    mask = distance > strongest / 2
    rgb = np.median(pixels[distance > strongest * 0.75], 0)
    y, x = np.nonzero(mask)
    return FrameJudgement(
        name,
        nearest_color(rgb, OBJECT_COLORS),
        rgb,
        mask,
        (float(x.mean()), float(y.mean())),
    )


def overlap(mask: np.ndarray, shape: str) -> float:
    """The best intersection over union of a mask with a shape over small changes of place and size."""
    seen = torch.from_numpy(mask).float()
    y, x = np.nonzero(mask)
    middle = np.array([(x.min() + x.max() + 1) / 2, (y.min() + y.max() + 1) / 2])
    bounds = cover(shape, torch.tensor([[64.0, 64.0]]), torch.tensor([24.0]))[0, 0] > 0.5
    rows, columns = torch.nonzero(bounds, as_tuple=True)
    box = np.array(
        [float(columns.min() + columns.max() + 1) / 2 - 64, float(rows.min() + rows.max() + 1) / 2 - 64]
    )
    radius = 24 * float(np.sqrt(mask.sum() / bounds.sum().item()))
    tries = np.array(list(product((0.92, 1.0, 1.08), (-2.5, 0.0, 2.5), (-2.5, 0.0, 2.5))))
    radii = torch.from_numpy(radius * tries[:, 0]).float()
    shifts = tries[:, 1:]
    centers = torch.from_numpy(middle - box * radius / 24 + shifts).float()
    drawn = cover(shape, centers, radii, size=mask.shape[0])[:, 0]
    common = torch.minimum(drawn, seen).sum((1, 2))
    return float((common / (torch.maximum(drawn, seen).sum((1, 2)) + 1e-6)).max())


def judge_shape(masks: list[np.ndarray]) -> str | None:
    """The shape whose outline fits the masks best on average; None if even that fits badly."""
    fits: dict[str, float] = {}
    for shape in SHAPES:
        overlaps = [overlap(mask, shape) for mask in masks]
        fits[shape] = float(np.mean(overlaps))
    best = max(fits, key=lambda shape: fits[shape])
    return best if fits[best] > 0.55 else None


def judge_clip(frames: list[Image.Image]) -> ClipJudgement:
    """Judge a clip of square frames; needs at least one."""
    seen = list(map(judge_frame, frames))
    width = frames[0].width
    background = Counter(frame.background_color for frame in seen).most_common(1)[0][0]
    found = [frame for frame in seen if frame.center is not None]
    if not found:
        return ClipJudgement(None, background, None, None, 0.0, 0.0, 0.0, 0.0, 0.0, False)
    color = Counter(frame.object_color for frame in found).most_common(1)[0][0]
    sampled = found[:: max(1, len(found) // 4)][:5]
    shape = judge_shape([frame.mask for frame in sampled])
    centers = np.array([frame.center for frame in found]) / width
    areas = np.array([frame.mask.sum() for frame in found], dtype=float)
    flicker = float(np.abs(np.diff(areas)).mean() / areas.mean()) if len(areas) > 1 else 0.0
    likeness = neighbour_overlap(found)
    path = _judge_path(centers)
    coherent = len(found) == len(frames) and path.longest < 0.2 and path.jerk < 0.06
    return ClipJudgement(
        color, background, shape, path.direction, path.displacement, path.drift, path.jerk, flicker, likeness,
        coherent,
    )  # fmt: skip


@dataclass(frozen=True)
class _PathJudgement:
    direction: str
    displacement: float
    drift: float
    jerk: float
    longest: float


def _judge_path(centers: np.ndarray) -> _PathJudgement:
    ends = max(1, min(2, len(centers) // 2))
    moved = centers[-ends:].mean(0) - centers[:ends].mean(0)
    displacement = float(np.abs(moved).max())
    axis = int(np.abs(moved).argmax())
    direction = (
        (("left", "right"), ("up", "down"))[axis][int(moved[axis] > 0)] if displacement >= STILL else "still"
    )
    steps = np.diff(centers, axis=0)
    jerk = float(np.linalg.norm(np.diff(steps, axis=0), axis=1).mean()) if len(steps) > 1 else 0.0
    drift = float(np.linalg.norm(centers - centers[0], axis=1).max())
    longest = float(np.linalg.norm(steps, axis=1).max()) if len(steps) else 0.0
    return _PathJudgement(direction, displacement, drift, jerk, longest)
