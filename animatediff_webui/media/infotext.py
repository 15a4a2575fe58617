"""The infotext in each format's own field, as writers put it there; `readers.infotext` reads it back."""

from __future__ import annotations

import struct

from PIL.PngImagePlugin import PngInfo

EXIF_IFD = 0x8769
USER_COMMENT = 0x9286
UNICODE = b"UNICODE\0"


def clean_infotext(text: str) -> str:
    """`text` as every format can hold it: the NUL character ends fields, lone surrogates have no UTF-8."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def png_text(infotext: str) -> PngInfo:
    """The text chunk the WebUI reads, Latin-1 where that is enough."""
    info = PngInfo()
    if infotext:
        info.add_text("parameters", infotext)
    return info


def exif_comment(infotext: str) -> bytes:
    """An EXIF block with `infotext` as its UserComment.

    Written by hand because the text's byte order, which EXIF leaves open, must be the block's own and
    big-endian: that is the one that the WebUI's reader takes it for.
    """
    if not infotext:
        return b""
    comment = UNICODE + infotext.encode("utf-16-be")
    pointer = struct.pack(">HHHII I", 1, EXIF_IFD, 4, 1, 26, 0)
    entry = struct.pack(">HHHII I", 1, USER_COMMENT, 7, len(comment), 44, 0)
    return b"Exif\0\0" + struct.pack(">2sHI", b"MM", 42, 8) + pointer + entry + comment
