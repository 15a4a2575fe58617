"""How the formats are written: the user's settings, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import MediaError

GifDither = Literal["floyd-steinberg", "bayer", "none"]
Mp4Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]
Mp4Tune = Literal["", "film", "animation", "grain", "stillimage", "fastdecode", "zerolatency"]

BOUNDS: Mapping[str, tuple[int, int]] = {
    "mp4_crf": (0, 51),
    "webm_crf": (0, 63),
    "webp_quality": (0, 100),
    "avif_quality": (0, 100),
    "png_compression": (0, 9),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "gif_dither": get_args(GifDither),
    "mp4_preset": get_args(Mp4Preset),
    "mp4_tune": get_args(Mp4Tune),
}


@dataclass(frozen=True)
class WriterOptions:
    """`gif_dither`: floyd-steinberg is finest, bayer stands still and compresses best.
    `gif_gifsicle`: let gifsicle make the GIF smaller where it is installed.
    `mp4_crf`: 0 is lossless (few players show it), 51 the worst; `webm_crf` likewise up to 63.
    `mp4_preset`: at these sizes veryfast takes a third to two thirds of medium's time for a file that looks
    and weighs the same.
    Raises MediaError where a value is out of bounds.
    """

    gif_dither: GifDither = "floyd-steinberg"
    gif_gifsicle: bool = False
    mp4_crf: int = 17
    mp4_preset: Mp4Preset = "veryfast"
    mp4_tune: Mp4Tune = ""
    webm_crf: int = 24
    webp_quality: int = 90
    webp_lossless: bool = False
    avif_quality: int = 85
    png_compression: int = 6

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise MediaError(f"{name} is {value!r}, but must be a whole number from {low} to {high}.")
        for name, choices in CHOICES.items():
            chosen: object = getattr(self, name)
            if chosen not in choices:
                listed = ", ".join(choice or "nothing" for choice in choices)
                raise MediaError(f"{name} is {chosen!r}, but must be one of {listed}.")
