"""How long each frame of an animated picture is shown, from the file's structure: no picture is decoded.

So a file of a few kilobytes that unpacks to gigabytes costs nothing before its frames are asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import IO

_CENTISECOND = Fraction(1, 100)
_MILLISECOND = Fraction(1, 1000)
_PNG_SIGNATURE = 8
_RIFF_HEADER = 12
_GIF_SCREEN = 13
_GIF_DESCRIPTOR = 9


def read_durations(path: Path, kind: str) -> list[Fraction] | None:
    """Seconds of each frame, 0 where it has none, of a GIF, PNG or WEBP; None where the file does not tell.

    A picture that does not move has none either. Files that end early give what is there.
    """
    walk = _WALKS.get(kind)
    if walk is None:
        return None
    with path.open("rb") as file:
        durations: list[Fraction] = []
        with suppress(struct.error, IndexError):  # the file ends in the middle of what was read
            durations.extend(walk(file))
    return durations or None


def _walk_gif(file: IO[bytes]) -> Iterator[Fraction]:
    """GIF89a: graphic control extensions hold the delay of the image that follows."""
    screen = file.read(_GIF_SCREEN)
    _skip_palette(file, screen[10])
    delay = Fraction(0)
    while block := file.read(1):
        if block == b"!" and file.read(1) == b"\xf9":
            (delay_cs,) = struct.unpack("<xxHxx", file.read(6))
            delay = delay_cs * _CENTISECOND
        elif block == b"!":
            _skip_sub_blocks(file)
        elif block == b",":
            _skip_palette(file, file.read(_GIF_DESCRIPTOR)[8])
            file.read(1)  # bits of a code
            _skip_sub_blocks(file)
            yield delay
            delay = Fraction(0)
        else:
            return


def _skip_palette(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        file.seek(3 * 2 ** ((flags & 7) + 1), 1)


def _skip_sub_blocks(file: IO[bytes]) -> None:
    while length := file.read(1)[0]:
        file.seek(length, 1)


def _walk_png(file: IO[bytes]) -> Iterator[Fraction]:
    """https://www.w3.org/TR/png-3/#fcTL-chunk: one for each frame."""
    file.seek(_PNG_SIGNATURE)
    while header := file.read(8):
        length, kind = struct.unpack(">I4s", header)
        if kind == b"fcTL":
            numerator, denominator = struct.unpack(">20xHHxx", file.read(length))
            yield Fraction(numerator, denominator or 100)
        else:
            file.seek(length, 1)
        file.seek(4, 1)  # the check sum


def _walk_webp(file: IO[bytes]) -> Iterator[Fraction]:
    """https://developers.google.com/speed/webp/docs/riff_container: one ANMF chunk for each frame."""
    file.seek(_RIFF_HEADER)
    while header := file.read(8):
        kind, length = struct.unpack("<4sI", header)
        start = file.tell()
        if kind == b"ANMF":
            yield int.from_bytes(file.read(16)[12:15], "little") * _MILLISECOND
        file.seek(start + length + length % 2)


_WALKS: Mapping[str, Callable[[IO[bytes]], Iterator[Fraction]]] = {
    "GIF": _walk_gif,
    "PNG": _walk_png,
    "WEBP": _walk_webp,
}
