"""The end of a run: frames to files, files into the host's answer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import shared

from ..media import MediaError
from .a1111_output import (
    Clip,
    add_to_info,
    api_images,
    described_files,
    infotexts_of,
    page_images,
    write_clip,
)
from .s3 import upload_later

if TYPE_CHECKING:
    from .a1111 import AnimationRun

logger = logging.getLogger(__name__)

# `processed` is the host's answer, whose class cannot be imported where types are checked: Any.


def finish(run: AnimationRun, processed: Any) -> None:
    """Write every clip, and put the files in the place of the frames."""
    clips = read_clips(run, processed)
    folder = Path(run.p.outpath_samples)
    written = []
    for clip in clips:
        infotext = clip.infotext if shared.opts.enable_pnginfo else ""
        try:
            written.append(write_clip(clip, run.plan, folder, run.settings, infotext))
        except (MediaError, OSError) as error:
            run.p.comment(f"The animation was not written: {error}")
            written.append([])
    failures = [file.error for files in written for file in files if file.error]
    for failure in failures:
        logger.warning("AnimateDiff: %s", failure)
    images = api_images(clips, written, run.plan) if run.p.is_api else page_images(clips, written, run.plan)
    _allow_page(images)
    processed.images, processed.index_of_first_image = images, 0
    processed.infotexts = infotexts_of(clips, images)
    processed.comments += "".join(f"{failure}\n" for failure in failures)
    add_to_info(processed, described_files(written, folder))
    if run.settings.upload is not None:
        upload = run.settings.upload
        files = [file.path for each in written for file in each if file.error is None and file.path.is_file()]
        upload_later(files, upload.bucket, folder=upload.folder, endpoint=upload.endpoint)


def read_clips(run: AnimationRun, processed: Any) -> list[Clip]:
    """The clips in the host's answer, which may hold masks after each frame."""
    images = processed.images[processed.index_of_first_image :]
    infotexts = processed.infotexts[len(processed.infotexts) - _num_infotexts(processed) :]
    per_frame = max(1, len(images) // max(1, len(infotexts)))
    frames, length = images[::per_frame], run.plan.num_frames
    return [
        Clip(tuple(frames[start : start + length]), infotexts[start], int(processed.all_seeds[start]))
        for start in range(0, len(frames), length)
    ]


def _num_infotexts(processed: Any) -> int:
    """One for each frame; a grid's, if there is one, comes first."""
    return len(processed.infotexts) - (1 if processed.index_of_first_image else 0)


def _allow_page(images: list[Any]) -> None:
    """Let the page fetch files outside the host's own folder."""
    demo = getattr(shared, "demo", None)
    if demo is not None and hasattr(demo, "temp_file_sets") and demo.temp_file_sets:
        demo.temp_file_sets[0] |= {
            str(Path(path).absolute()) for path in images if isinstance(path, str) and len(path) < 4096
        }
