"""One writer per format, in a module of the format's name that is imported when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from animatediff_webui.core.formats import FORMATS, Format, format_names
from animatediff_webui.media.errors import MediaError

from .contract import Animation, Writer

__all__ = ["Animation", "Writer", "format_named", "writer_of"]


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
