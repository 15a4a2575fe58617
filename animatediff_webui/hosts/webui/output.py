"""Finished frames to files, and the files to the page or the API client."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

from animatediff_webui.core.plan import Plan
from animatediff_webui.media import WrittenFile, reserved_stem, write_animation

from .settings import Settings

INFO_KEY = "animatediff"
VIDEO_ATTRIBUTE = "animatediff_video"
"""Where a picture names the file it is the first frame of."""
# What browsers animate in an <img>, and the WebUI's gallery with them.
_SHOWN_AS_PICTURE = ("GIF", "WEBP", "APNG", "AVIF")
_STILLS = ("PNG", "TXT")


@dataclass(frozen=True)
class Clip:
    """One generated clip: `frames` are all that were generated, some maybe not in the video."""

    frames: tuple[Image.Image, ...]
    infotext: str
    seed: int
    files: tuple[WrittenFile, ...] = ()

    @property
    def videos(self) -> list[WrittenFile]:
        """The animations that were written, without frames, texts and failures."""
        return [file for file in self.files if file.error is None and file.format not in _STILLS]


class ClipInfotext(str):
    """The infotext of a clip's pictures, which knows the clip's files: it is what grids keep of a cell."""

    files: tuple[WrittenFile, ...]
    fps: float

    @classmethod
    def of(cls, clip: Clip, plan: Plan) -> ClipInfotext:
        infotext = cls(clip.infotext)
        infotext.files, infotext.fps = clip.files, float(plan.fps)
        return infotext


class EncodedVideo(str):
    """A video as base64, which hosts from 1.7 on return as it is; earlier ones save it like a picture."""

    mode = "RGB"

    @property
    def info(self) -> dict[str, str]:
        return {}

    def save(self, file: IO[bytes], *args: Any, **kwargs: Any) -> None:
        """What the host will encode again. (Any: a picture's options.)"""
        file.write(base64.b64decode(self))


def write_clip(clip: Clip, plan: Plan, folder: Path, settings: Settings, infotext: str) -> list[WrittenFile]:
    """Write a clip in the order of the formats asked for; `Frame`, which is no file, is left out."""
    formats = [name for name in plan.formats if name != "Frame"]
    played = [clip.frames[index] for index in plan.played_frames if index < len(clip.frames)]
    common: dict[str, Any] = {
        "fps": plan.fps,
        "loop_count": plan.parameters.output.loop_number,
        "infotext": infotext,
        "options": settings.writer,
    }
    with reserved_stem(folder, clip.seed, plan.parameters.output.request_id) as stem:
        written = write_animation(played, stem, [name for name in formats if name != "PNG"], **common)
        if "PNG" in formats and settings.frames_beside_video:
            written += write_animation(clip.frames, stem, ["PNG"], **common)
    return sorted(written, key=lambda file: formats.index(file.format))


def api_images(clip: Clip, plan: Plan) -> list[EncodedVideo | Image.Image]:
    """What a client gets: the videos as base64 in the order of `format`, and the frames if asked for."""
    videos = [EncodedVideo(base64.b64encode(file.path.read_bytes()).decode("ascii")) for file in clip.videos]
    frames = clip.frames[: plan.video_frames] if "Frame" in plan.formats or not videos else ()
    return [*videos, *frames]


def page_images(clip: Clip, plan: Plan) -> list[Image.Image]:
    """What the gallery and grids get: pictures, of which those that are a video's first frame say so.

    The host shows a picture's file where it is saved already, so the gallery animates what browsers can.
    """
    covers = [cover(clip.frames[0], file) for file in clip.videos]
    moving = [image for image in covers if hasattr(image, "already_saved_as")]
    frames = clip.frames[: plan.video_frames] if "Frame" in plan.formats or not covers else ()
    return [*(moving or covers[:1]), *frames]


def cover(frame: Image.Image, video: WrittenFile) -> Image.Image:
    """A copy of the first frame that stands for the video."""
    image = frame.copy()
    setattr(image, VIDEO_ATTRIBUTE, str(video.path))
    if video.format in _SHOWN_AS_PICTURE:
        image.already_saved_as = str(video.path)  # type: ignore[attr-defined]  (the host's convention)
    return image


def described_files(infotexts: Iterable[str]) -> list[dict[str, Any]]:
    """Every file's clip, format, name, MIME type and speed, or why it is missing. (Any: JSON.)"""
    clips = {text.files: text.fps for text in infotexts if isinstance(text, ClipInfotext)}
    return [
        {
            "clip": number,
            "format": file.format,
            "mime": file.mime,
            "fps": fps,
            "name": file.path.name,
            "path": str(file.path.absolute()),
            "error": file.error,
        }
        for number, (files, fps) in enumerate(clips.items())
        for file in files
    ]
