"""Finished frames to files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules import shared
from PIL import Image

from animatediff_webui.core.formats import FORMATS
from animatediff_webui.media.animation import WrittenFile
from animatediff_webui.media.errors import MediaError, WritingStoppedError
from animatediff_webui.session import Session

from .s3 import upload_later
from .settings import Settings

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan

logger = logging.getLogger(__name__)
_INFOTEXT_IN_PICTURES = "parameters"
"""Where the host puts a picture's infotext, if it shall be saved."""


@dataclass(frozen=True, eq=False)
class SampledClip:
    """One generated clip: `frames` are all that were generated, some maybe not in the video."""

    frames: tuple[Image.Image, ...]
    infotext: str
    session: Session

    @property
    def plan(self) -> Plan:
        return self.session.plan

    @property
    def files(self) -> tuple[WrittenFile, ...]:
        """What was written of it, and what was not."""
        return tuple(self.session.files)

    @property
    def videos(self) -> list[WrittenFile]:
        """The animations that were written, without frames, texts and failures."""
        return [file for file in complete_files(self.files) if FORMATS[file.format].is_animation]


def read_infotext(picture: Image.Image) -> str:
    """The infotext of one of the host's pictures; empty where the user wants none in files."""
    return str(picture.info.get(_INFOTEXT_IN_PICTURES, ""))


def write_clip(clip: SampledClip, folder: Path, settings: Settings, say: Callable[[str], None]) -> None:
    """Write a clip in the formats asked for, and say what went wrong."""
    infotext = clip.infotext if shared.opts.enable_pnginfo else ""
    errors: list[str] = []
    try:
        clip.session.write(
            clip.frames, folder, infotext, settings.writer, saves_frames=settings.frames_beside_video
        )
    except WritingStoppedError as error:
        errors.append(f"{error} The files hold those.")
    except (MediaError, OSError) as error:
        errors.append(f"The animation was not written: {error}")
    errors += [file.error for file in clip.files if file.error is not None]
    for sentence in errors:
        logger.warning("AnimateDiff: %s", sentence)
        say(sentence)
    upload = settings.upload
    if upload is not None:
        files = list(complete_files(clip.files))
        upload_later(files, upload.bucket, folder=upload.folder, endpoint=upload.endpoint)


def complete_files(files: Iterable[WrittenFile]) -> list[WrittenFile]:
    """What was written, without folders of frames."""
    return [file for file in files if file.error is None and file.path.is_file()]
