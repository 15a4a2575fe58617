"""The formats a clip can be saved in: one row each, read by the parameters, the writers and the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format by its name in the API.

    `suffix` is that of its file; without one it is a folder of frames. `is_file`: whether anything is written
    (Frame only goes back to an API client). `is_animation`: whether it shows the clip; at least one of those
    has to be chosen. `shown_by_img`: whether browsers animate it in an <img>. `is_playable`: whether they
    play it in a <video>. `holds_every_frame`: each generated frame once, rather than the frames as played.
    `longest_frame`: how many seconds it can show one frame. `holds_sound`: whether it can have sound.
    """

    name: str
    suffix: str
    mime: str
    is_file: bool = True
    is_animation: bool = True
    shown_by_img: bool = False
    is_playable: bool = False
    holds_every_frame: bool = False
    longest_frame: float = math.inf
    holds_sound: bool = False

    def __str__(self) -> str:
        return self.name


PNG_FRAMES = Format("PNG", "", "image/png", is_animation=False, holds_every_frame=True)

_ROWS = (
    Format("GIF", ".gif", "image/gif", shown_by_img=True, longest_frame=655),
    Format("MP4", ".mp4", "video/mp4", is_playable=True, holds_sound=True),
    Format("WEBP", ".webp", "image/webp", shown_by_img=True, longest_frame=16_777),
    Format("WEBM", ".webm", "video/webm", is_playable=True, holds_sound=True),
    PNG_FRAMES,
    Format("TXT", ".txt", "text/plain", is_animation=False),
    Format("Frame", "", "image/png", is_file=False, is_animation=False),
    Format("APNG", ".png", "image/apng", shown_by_img=True, longest_frame=65_535),
    Format("AVIF", ".avif", "image/avif", shown_by_img=True),
    Format("MOV", ".mov", "video/quicktime", holds_sound=True),
)
FORMATS: Mapping[str, Format] = {row.name: row for row in _ROWS}


def format_names(formats: Iterable[Format]) -> str:
    """The names, for a sentence."""
    return ", ".join(map(str, formats))
