"""Frames to write and to compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor
from torch.nn import functional as F

SSIM_WINDOW = 8


def draw_frames(num_frames: int, size: int) -> list[Image.Image]:
    """A disc that moves over a soft, slightly noisy background: smooth areas, an edge, and grain."""
    generator = np.random.default_rng(7)
    y, x = np.mgrid[0:size, 0:size] / size
    frames: list[Image.Image] = []
    for number in range(num_frames):
        phase = number / num_frames
        background = np.stack([x, (x + y + phase) / 3, 1 - y], axis=-1) * 200
        disc = (x - 0.2 - 0.6 * phase) ** 2 + (y - 0.5) ** 2 < 0.03
        background[disc] = (220, 40, 40)
        grain = generator.normal(0, 4, (size, size, 1))
        frames.append(Image.fromarray((background + grain).clip(0, 255).astype(np.uint8)))
    return frames


def read_back(path: Path) -> list[Image.Image]:
    """The frames of a GIF or a video."""
    if path.suffix == ".gif":
        with Image.open(path) as image:
            return [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def mean_ssim(frames: Sequence[Image.Image], written: Sequence[Image.Image]) -> float:
    """Structural similarity (Wang et al., 2004) of the brightness, in windows of equal weights."""
    values = [_ssim(_brightness(one), _brightness(other)) for one, other in zip(frames, written, strict=True)]
    return sum(values) / len(values)


def _brightness(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image.convert("L"), dtype=np.float64).copy())[None, None]


def _ssim(one: Tensor, other: Tensor) -> float:
    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, SSIM_WINDOW, stride=1)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_one, mean_other = mean(one), mean(other)
    variances = mean(one**2) - mean_one**2 + mean(other**2) - mean_other**2
    covariance = mean(one * other) - mean_one * mean_other
    similarity = (2 * mean_one * mean_other + c1) * (2 * covariance + c2)
    return float((similarity / ((mean_one**2 + mean_other**2 + c1) * (variances + c2))).mean())
