"""The end of a run: frames to files, and files into the host's answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import shared, ui_tempdir

from ..media import MediaError
from .a1111_output import Clip, api_images, described_files, page_images, with_files, write_clip
from .s3 import upload_later

if TYPE_CHECKING:
    from .a1111 import AnimationRun

logger = logging.getLogger(__name__)

# `processed` is the host's answer, whose class cannot be imported where types are checked: Any.


def finish(run: AnimationRun, processed: Any) -> None:
    """Write every clip, and put the videos in the place of the frames."""
    clips = [_written(run, clip, processed) for clip in read_clips(run, processed)]
    show = api_images if _wants_base64(run.p) else page_images
    shown = [each for clip in clips for each in show(clip, run.plan)]
    processed.images, processed.infotexts = [image for image, _ in shown], [text for _, text in shown]
    processed.index_of_first_image = 0
    files = described_files(clips)
    processed.js = with_files(processed.js, files)
    for file in files:
        if file["error"]:
            _tell(processed, file["error"])
    paths = [file.path for clip in clips for file in clip.files if file.error is None and file.path.is_file()]
    _let_the_page_fetch(paths)
    upload = run.settings.upload
    if upload is not None:
        upload_later(paths, upload.bucket, folder=upload.folder, endpoint=upload.endpoint)


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


def _written(run: AnimationRun, clip: Clip, processed: Any) -> Clip:
    infotext = clip.infotext if shared.opts.enable_pnginfo else ""
    try:
        files = write_clip(clip, run.plan, Path(run.p.outpath_samples), run.settings, infotext)
    except (MediaError, OSError) as error:
        _tell(processed, f"The animation was not written: {error}")
        files = []
    return replace(clip, files=tuple(files))


def _wants_base64(p: Any) -> bool:
    """Clients do; but a script that makes grids of several requests needs pictures."""
    return p.is_api and not p.script_args[0]


def _tell(processed: Any, sentence: str) -> None:
    logger.warning("AnimateDiff: %s", sentence)
    processed.comments += f"{sentence}\n"


def _let_the_page_fetch(paths: Iterable[Path]) -> None:
    """The page may fetch files that the host knows to be its own."""
    demo = getattr(shared, "demo", None)
    for path in paths if demo is not None else ():
        ui_tempdir.register_tmp_file(demo, str(path))
