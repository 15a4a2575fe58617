"""One writer per format, in a module of the format's name that is imported when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from animatediff_webui.core.formats import FORMATS, Format, format_names
from animatediff_webui.media.errors import MediaError
from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.store import FrameSelection

if TYPE_CHECKING:
    from animatediff_webui.media.sound import Sound


@dataclass(frozen=True)
class Animation:
    """One animation to write. `loop_count` is how often it plays, 0 is forever; an empty infotext is none.

    `sound` goes into formats that can have any, for as long as the frames last.
    """

    frames: FrameSelection
    fps: Fraction
    loop_count: int
    infotext: str
    sound: Sound | None = None

    @property
    def duration(self) -> Fraction:
        """Seconds that it plays once."""
        return len(self.frames) / self.fps


class Writer(Protocol):
    """A module of this folder: imported when its format is first written."""

    @staticmethod
    def write(animation: Animation, path: Path, options: WriterOptions) -> None:
        """Write `animation` to `path`, a frame at a time. Raises MissingPackageError without its codec."""
        ...


def writer_of(wanted: Format) -> Writer:
    """The module that writes a format."""
    return cast("Writer", import_module(f".{wanted.name.lower()}", __name__))


def format_named(name: str) -> Format:
    """The format of that name, in any case; raises MediaError with the names there are."""
    written = [each for each in FORMATS.values() if each.is_file]
    for known in written:
        if known.name.lower() == name.lower():
            return known
    raise MediaError(f"The format {name!r} is not known: use {format_names(written)}.")
