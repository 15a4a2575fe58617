"""A run's clips in the host's answer: to the page, to grids of several answers, or to an API client."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO

from modules import processing, shared, ui_tempdir
from PIL import Image

from animatediff_webui.core.formats import FORMATS
from animatediff_webui.media.animation import WrittenFile

from .host_types import Processed, Request
from .output import SampledClip, complete_files
from .patches import give_class, saved_by

INFO_KEY = "animatediff"
VIDEO_ATTRIBUTE = "animatediff_video"
"""Where a picture names the file it is the first frame of."""


@dataclass(frozen=True)
class ClipFiles:
    """What was written of a clip, and how fast it plays."""

    files: tuple[WrittenFile, ...]
    fps: float

    def describe(self, number: int) -> list[dict[str, object]]:
        """Every file's format, name, MIME type and speed, or why it is missing; for clip `number` of some."""
        return [
            {
                "clip": number,
                "format": file.format,
                "mime": file.mime,
                "fps": self.fps,
                "name": file.path.name,
                "path": str(file.path.absolute()),
                "error": file.error,
            }
            for file in self.files
        ]


@dataclass
class AnsweredClips:
    """The clips in all answers of one job, by the infotexts of their pictures: grids keep these alone."""

    by_infotext: dict[str, list[ClipFiles]] = field(default_factory=dict[str, "list[ClipFiles]"])

    def add(self, clip: SampledClip) -> None:
        """A clip of an answer to come."""
        clips = self.by_infotext.setdefault(clip.infotext, [])
        clips.append(ClipFiles(clip.files, float(clip.plan.fps)))

    def describe(self, infotexts: Iterable[str]) -> list[dict[str, object]]:
        """The files of all clips with these infotexts; of all clips where no clip has one of them.

        Of a grid some hosts keep the one that they made for itself, and no picture's.
        """
        clips: list[ClipFiles] = []
        known = [text for text in dict.fromkeys(infotexts) if text in self.by_infotext]
        for text in known or self.by_infotext:
            clips += self.by_infotext[text]
        rows: list[dict[str, object]] = []
        for number, clip in enumerate(clips):
            rows += clip.describe(number)
        return rows


class AnimatedProcessed(processing.Processed):
    """An answer whose `info` tells the files behind its pictures, in grids of several answers as well."""

    animatediff_clips: AnsweredClips

    def js(self) -> str:
        info = json.loads(super().js())
        return json.dumps({**info, INFO_KEY: self.animatediff_clips.describe(self.infotexts)})


def read_frames(processed: Processed, num_frames: int) -> list[tuple[tuple[Image.Image, ...], str]]:
    """The frames of each clip in the host's answer, with the first one's infotext.

    The answer has one infotext for each frame. Masks may follow each frame, and pictures of other extensions
    the last one.
    """
    images = processed.images[processed.index_of_first_image :]
    infotexts = processed.infotexts[processed.index_of_first_image :]
    pictures = [image for image in images if isinstance(image, Image.Image)]
    every = max(1, len(pictures) // max(1, len(infotexts)))
    frames = pictures[::every][: len(infotexts)]
    starts = range(0, len(frames), num_frames)
    return [(tuple(frames[start : start + num_frames]), infotexts[start]) for start in starts]


def answer(p: Request, processed: Processed, clips: Sequence[SampledClip], answered: AnsweredClips) -> None:
    """Put the videos in the place of the frames."""
    show = _api_images if _wants_base64(p) else _page_images
    images: list[Image.Image | str] = []
    infotexts: list[str] = []
    for clip in clips:
        answered.add(clip)
        shown = show(clip)
        images += shown
        infotexts += [clip.infotext] * len(shown)
    processed.images, processed.infotexts, processed.index_of_first_image = images, infotexts, 0
    processed.animatediff_clips = answered  # type: ignore[attr-defined]
    give_class(processed, AnimatedProcessed)
    _let_the_page_fetch(clips)


def _wants_base64(p: Request) -> bool:
    """Clients do; but a script that makes grids of several requests needs pictures."""
    return p.is_api and not p.script_args[0]


def _api_images(clip: SampledClip) -> list[Image.Image | str]:
    """What a client gets: the videos as base64 in the order of `format`, and the frames if asked for."""
    videos = [_encoded(clip.frames[0], video) for video in clip.videos]
    return [*videos, *_frames(clip, is_needed=not videos)]


def _page_images(clip: SampledClip) -> list[Image.Image | str]:
    """What the gallery and grids get: pictures, of which those that are a video's first frame say so.

    The host shows a picture's file where it is saved already, so the gallery animates what browsers can.
    """
    videos = clip.videos
    moving = [video for video in videos if FORMATS[video.format].shown_by_img]
    covers = [_cover(clip.frames[0], video) for video in (moving or videos[:1])]
    return [*covers, *_frames(clip, is_needed=not covers)]


def _frames(clip: SampledClip, *, is_needed: bool) -> tuple[Image.Image, ...]:
    """The video's frames as pictures, if they were asked for or there is nothing else."""
    return clip.frames[: clip.plan.video_frames] if clip.plan.returns_frames or is_needed else ()


def _cover(frame: Image.Image, video: WrittenFile) -> Image.Image:
    """A copy of the first frame that stands for the video; `already_saved_as` is the host's convention."""
    picture = frame.copy()
    setattr(picture, VIDEO_ATTRIBUTE, str(video.path))
    if FORMATS[video.format].shown_by_img:
        picture.already_saved_as = str(video.path)  # type: ignore[attr-defined]
    return picture


def _encoded(frame: Image.Image, video: WrittenFile) -> Image.Image | str:
    """A video for a client: base64, which hosts from 1.7 on hand on as it is.

    Earlier ones encode the bytes of whatever they are given as pictures save: so a picture saves the video.
    """
    if _hands_on_texts():
        return base64.b64encode(video.path.read_bytes()).decode("ascii")

    def save_video(still: object, file: str | IO[bytes], format: str | None, options: object) -> None:
        if not isinstance(file, str):
            file.write(video.path.read_bytes())

    return saved_by(Image.new("RGB", frame.size), save_video)


def _hands_on_texts() -> bool:
    """Whether the host's API takes texts among an answer's pictures for base64."""
    from modules.api.api import encode_pil_to_base64  # only there where the API is

    try:
        return encode_pil_to_base64("") == ""
    except AttributeError:
        return False


def _let_the_page_fetch(clips: Iterable[SampledClip]) -> None:
    """The page may fetch files that the host knows to be its own."""
    demo = getattr(shared, "demo", None)
    if demo is None:
        return
    for clip in clips:
        for file in complete_files(clip.files):
            ui_tempdir.register_tmp_file(demo, str(file.path))
