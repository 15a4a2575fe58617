"""Animated PNG, chunk by chunk: Pillow's own writer holds every frame in memory until the last.

https://www.w3.org/TR/png-3/#apng-frame-based-animation
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image, ImageChops

from animatediff_webui.media.errors import MediaError
from animatediff_webui.media.infotext import png_text
from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.timing import spread_durations
from animatediff_webui.media.writers import Animation

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_UINT16 = 2**16 - 1
_MAX_UINT31 = 2**31 - 1


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    """The name ends in .png: programs that know no animation show the first frame."""
    delays = _delays(len(animation.frames), animation.fps)
    with path.open("wb") as file:
        write_frames(
            file,
            animation.frames,
            delays,
            animation.loop_count,
            animation.infotext,
            options.png_compression,
        )


def write_frames(
    file: IO[bytes],
    frames: Sequence[Image.Image],
    delays: Sequence[tuple[int, int]],
    loop_count: int = 0,
    infotext: str = "",
    compression: int = 6,
) -> None:
    """`delays` are (numerator, denominator) of seconds. After the first frame only what changes is stored."""
    file.write(_SIGNATURE)
    sequence = 0
    for index, (region, left, top) in enumerate(_changes(frames)):
        chunks = _still_chunks(region, infotext, compression)
        if index == 0:
            for kind, data in chunks[:-1]:
                file.write(_chunk(kind, data))
            file.write(_chunk(b"acTL", struct.pack(">2I", len(frames), min(loop_count, _MAX_UINT31))))
        control = struct.pack(">5I2H2B", sequence, *region.size, left, top, *delays[index], 0, 0)
        file.write(_chunk(b"fcTL", control))
        pixels = chunks[-1][1]
        sequence += 1
        if index == 0:  # the picture that other programs see, and the only one without a number
            file.write(_chunk(b"IDAT", pixels))
        else:
            file.write(_chunk(b"fdAT", struct.pack(">I", sequence) + pixels))
            sequence += 1
    file.write(_chunk(b"IEND", b""))


def _changes(frames: Sequence[Image.Image]) -> Iterator[tuple[Image.Image, int, int]]:
    """The first frame, then of each the rectangle that differs from the one before, and where it lies."""
    before: Image.Image | None = None
    for frame in frames:
        box = (0, 0, *frame.size)
        if before is not None:  # a frame cannot be empty: one that changes nothing repeats a pixel
            box = ImageChops.difference(frame, before).getbbox() or (0, 0, 1, 1)
        yield frame.crop(box), box[0], box[1]
        before = frame


def _still_chunks(image: Image.Image, infotext: str, compression: int) -> list[tuple[bytes, bytes]]:
    """The chunks of `image` as a PNG: its header and texts, and last its pixels as one IDAT."""
    buffer = BytesIO()
    image.save(buffer, format="PNG", pnginfo=png_text(infotext), compress_level=compression)
    data, position = buffer.getvalue(), len(_SIGNATURE)
    chunks: list[tuple[bytes, bytes]] = []
    pixels: list[bytes] = []
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if kind == b"IDAT":
            pixels.append(body)
        elif kind != b"IEND":
            chunks.append((kind, body))
        position += length + 12
    return [*chunks, (b"IDAT", b"".join(pixels))]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _delays(num_frames: int, fps: Fraction) -> list[tuple[int, int]]:
    """Exact where numerator and denominator fit into 16 bits, and else whole milliseconds, spread."""
    if max(fps.numerator, fps.denominator) <= _MAX_UINT16:
        return [(fps.denominator, fps.numerator)] * num_frames
    milliseconds = spread_durations(num_frames, fps, 1000)
    if max(milliseconds) > _MAX_UINT16:
        raise MediaError(f"APNG cannot show a frame for {float(1 / fps):g} s: use a higher fps.")
    return [(duration, 1000) for duration in milliseconds]
