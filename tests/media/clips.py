"""Small moving pictures, and how alike two pictures are."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

ALL = ("GIF", "MP4", "WEBM", "WEBP", "APNG", "AVIF", "MOV", "PNG", "TXT")
LOSSLESS = ("APNG", "PNG")


def frame(index: int, size: tuple[int, int] = (32, 24), num_frames: int = 6) -> Image.Image:
    """A soft bright disc on its way over a gradient that stands still."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - width * (index + 0.5) / num_frames, y - height / 2) / (height / 3)
    light = np.clip(1.5 - distance, 0, 1)[..., None]
    background = np.stack([90 + 60 * x / width, 90 + 60 * y / height, np.full(x.shape, 110.0)], axis=-1)
    return Image.fromarray((background * (1 - light) + np.array([220.0, 200, 120]) * light).astype(np.uint8))


def clip(num_frames: int = 6, size: tuple[int, int] = (32, 24)) -> Iterator[Image.Image]:
    return (frame(index, size, num_frames) for index in range(num_frames))


def psnr(left: Image.Image, right: Image.Image) -> float:
    """Decibels; infinite for equal pictures. What padding added on the right and below does not count."""
    right = right.crop((0, 0, *left.size))
    error = np.mean((np.asarray(left, float) - np.asarray(right.convert("RGB"), float)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


class Live:
    """Frames that say how many of them exist at once."""

    def __init__(self, make: Callable[[int], Image.Image]) -> None:
        self.make, self.alive, self.peak = make, 0, 0

    def __call__(self, index: int) -> Image.Image:
        image = self.make(index)
        self.alive += 1
        self.peak = max(self.peak, self.alive)
        weakref.finalize(image, self._gone)
        return image

    def _gone(self) -> None:
        self.alive -= 1
