"""Finished frames to files, and the files to the page or the API client."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ..core.plan import Plan
from ..media import WrittenFile, reserved_stem, write_animation
from .a1111_settings import Settings

INFO_KEY = "animatediff"
# What browsers animate in an <img>, and the WebUI's gallery with them.
_SHOWN_AS_PICTURE = ("GIF", "WEBP", "APNG", "AVIF")
_STILLS = ("PNG", "TXT")


@dataclass(frozen=True)
class Clip:
    """One generated clip: `frames` are all that were generated, some maybe not in the video."""

    frames: tuple[Image.Image, ...]
    infotext: str
    seed: int


def write_clip(clip: Clip, plan: Plan, folder: Path, settings: Settings, infotext: str) -> list[WrittenFile]:
    """Write a clip in the order of the formats asked for; `Frame`, which is no file, is left out."""
    formats = [name for name in plan.formats if name != "Frame"]
    moving = [name for name in formats if name != "PNG"]
    played = [clip.frames[index] for index in plan.played_frames if index < len(clip.frames)]
    common: dict[str, Any] = {
        "fps": plan.fps,
        "loop_count": plan.parameters.output.loop_number,
        "infotext": infotext,
        "options": settings.writer,
    }
    with reserved_stem(folder, clip.seed, plan.parameters.output.request_id) as stem:
        written = write_animation(played, stem, moving, **common)
        if "PNG" in formats and settings.frames_beside_video:
            written += write_animation(clip.frames, stem, ["PNG"], **common)
    order = {name: position for position, name in enumerate(formats)}
    return sorted(written, key=lambda file: order[file.format])


def api_images(clips: Sequence[Clip], written: Sequence[Sequence[WrittenFile]], plan: Plan) -> list[Any]:
    """What `images` holds: each clip's videos as base64 in the order of `format`, and its frames if asked for."""
    images: list[Any] = []
    for clip, files in zip(clips, written, strict=True):
        videos = [base64.b64encode(file.path.read_bytes()).decode("ascii") for file in videos_of(files)]
        images += videos
        if "Frame" in plan.formats or not videos:
            images += clip.frames
    return images


def page_images(clips: Sequence[Clip], written: Sequence[Sequence[WrittenFile]], plan: Plan) -> list[Any]:
    """What the gallery shows: the animations that it can, by their paths; without any, the frames."""
    images: list[Any] = []
    for clip, files in zip(clips, written, strict=True):
        shown = [str(file.path) for file in videos_of(files) if file.format in _SHOWN_AS_PICTURE]
        images += shown
        if "Frame" in plan.formats or not shown:
            images += clip.frames
    return images


def infotexts_of(clips: Sequence[Clip], images: Sequence[Any]) -> list[str]:
    """One infotext for each entry of `images`: a frame's own clip's, and for videos the clips' in turn."""
    by_frame = {id(frame): clip.infotext for clip in clips for frame in clip.frames}
    per_clip = max(1, len(images) // max(1, len(clips)))
    return [
        by_frame.get(id(image), clips[min(index // per_clip, len(clips) - 1)].infotext)
        for index, image in enumerate(images)
    ]


def videos_of(files: Sequence[WrittenFile]) -> list[WrittenFile]:
    """The animations that were written, without frames, texts and failures."""
    return [file for file in files if file.error is None and file.format not in _STILLS]


def described_files(written: Sequence[Sequence[WrittenFile]], folder: Path) -> list[dict[str, Any]]:
    """Every file's clip, format, name and MIME type, or why it is missing. (Any: JSON.)"""
    return [
        {
            "clip": clip,
            "format": file.format,
            "mime": file.mime,
            "name": file.path.name,
            "path": str(file.path),
            "error": file.error,
        }
        for clip, files in enumerate(written)
        for file in files
    ]


def add_to_info(processed: Any, files: list[dict[str, Any]]) -> None:
    """Put the files' descriptions into `info`, which the host makes by `processed.js()`."""
    host_js = processed.js
    processed.js = lambda: json.dumps({**json.loads(host_js()), INFO_KEY: files})
