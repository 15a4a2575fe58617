"""The end of a clip and of a run: frames to files, and files into the host's answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import processing, shared, ui_tempdir

from animatediff_webui.media import MediaError, WrittenFile

from .output import (
    INFO_KEY,
    Clip,
    ClipInfotext,
    api_images,
    described_files,
    page_images,
    write_clip,
)
from .s3 import upload_later

if TYPE_CHECKING:
    from .run import AnimationRun

logger = logging.getLogger(__name__)
INFOTEXT_IN_PICTURES = "parameters"
"""Where the host puts a picture's infotext, if it shall be saved."""

# `processed` is the host's answer, whose class cannot be imported where types are checked: Any.


class AnimatedProcessed(processing.Processed):
    """An answer whose `info` tells the files behind its pictures, in grids of several answers as well."""

    def js(self) -> str:
        return json.dumps({**json.loads(super().js()), INFO_KEY: described_files(self.infotexts)})


def finish_clip(run: AnimationRun, number: int) -> None:
    """Write a clip as soon as its pictures are there, so that nothing that goes wrong later can lose it."""
    frames, length = run.take_pictures(), run.plan.num_frames
    if len(frames) == length:
        infotext = frames[0].info.get(INFOTEXT_IN_PICTURES, "")
        clip = Clip(frames, infotext, int(run.p.all_seeds[number * length]))
        run.files[number] = _write(run, clip, run.p.comment)


def finish(run: AnimationRun, processed: Any) -> None:
    """Write the clips that are not written yet, and put the videos in the place of the frames."""

    def say(sentence: str) -> None:
        processed.comments += f"{sentence}\n"

    clips = [
        replace(clip, files=run.files[number] if number in run.files else _write(run, clip, say))
        for number, clip in enumerate(read_clips(run, processed))
    ]
    show = api_images if _wants_base64(run.p) else page_images
    shown = [(image, clip) for clip in clips for image in show(clip, run.plan)]
    processed.images = [image for image, _ in shown]
    processed.infotexts = [ClipInfotext.of(clip, run.plan) for _, clip in shown]
    processed.index_of_first_image = 0
    processed.__class__ = AnimatedProcessed
    _let_the_page_fetch(file.path for clip in clips for file in _complete(clip.files))


def read_clips(run: AnimationRun, processed: Any) -> list[Clip]:
    """The clips in the host's answer, which has one infotext for each frame.

    Masks may follow each frame, and pictures of other extensions the last one.
    """
    images = processed.images[processed.index_of_first_image :]
    infotexts = processed.infotexts[processed.index_of_first_image :]
    length = run.plan.num_frames
    frames = images[:: max(1, len(images) // max(1, len(infotexts)))][: len(infotexts)]
    return [
        Clip(tuple(frames[start : start + length]), infotexts[start], int(processed.all_seeds[start]))
        for start in range(0, len(frames), length)
    ]


def _write(run: AnimationRun, clip: Clip, say: Callable[[str], None]) -> tuple[WrittenFile, ...]:
    """Write a clip, and say what went wrong."""
    infotext = clip.infotext if shared.opts.enable_pnginfo else ""
    errors, files = [], ()
    try:
        files = tuple(write_clip(clip, run.plan, Path(run.p.outpath_samples), run.settings, infotext))
        errors = [file.error for file in files if file.error is not None]
    except (MediaError, OSError) as error:
        errors = [f"The animation was not written: {error}"]
    for sentence in errors:
        logger.warning("AnimateDiff: %s", sentence)
        say(sentence)
    upload = run.settings.upload
    if upload is not None:
        upload_later(_complete(files), upload.bucket, folder=upload.folder, endpoint=upload.endpoint)
    return files


def _complete(files: Iterable[WrittenFile]) -> Sequence[WrittenFile]:
    """What was written, without folders of frames."""
    return [file for file in files if file.error is None and file.path.is_file()]


def _wants_base64(p: Any) -> bool:
    """Clients do; but a script that makes grids of several requests needs pictures."""
    return p.is_api and not p.script_args[0]


def _let_the_page_fetch(paths: Iterable[Path]) -> None:
    """The page may fetch files that the host knows to be its own."""
    demo = getattr(shared, "demo", None)
    for path in paths if demo is not None else ():
        ui_tempdir.register_tmp_file(demo, str(path))
