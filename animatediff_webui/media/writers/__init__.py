"""One writer per format, each imported when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from animatediff_webui.media.errors import MediaError

from .contract import Clip, Writer

__all__ = ["FORMATS", "Clip", "Format", "Writer", "format_named"]


@dataclass(frozen=True)
class Format:
    """A format as the user knows it, and the module that writes it. Without a suffix it is a folder."""

    name: str
    suffix: str
    mime: str
    module: str

    def writer(self) -> Writer:
        return cast("Writer", import_module(f".{self.module}", __name__))


FORMATS = (
    Format("GIF", ".gif", "image/gif", "gif"),
    Format("MP4", ".mp4", "video/mp4", "mp4"),
    Format("WEBM", ".webm", "video/webm", "webm"),
    Format("WEBP", ".webp", "image/webp", "webp"),
    Format("APNG", ".png", "image/apng", "apng"),
    Format("AVIF", ".avif", "image/avif", "avif"),
    Format("MOV", ".mov", "video/quicktime", "mov"),
    Format("PNG", "", "image/png", "png"),
    Format("TXT", ".txt", "text/plain", "txt"),
)


def format_named(name: str) -> Format:
    """The format of that name, in any case; raises MediaError with the names there are."""
    for known in FORMATS:
        if known.name == name.upper():
            return known
    listed = ", ".join(known.name for known in FORMATS)
    raise MediaError(f"The format {name!r} is not known: use {listed}.")
