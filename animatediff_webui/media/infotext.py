"""The infotext in each format's own field, written and read."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .errors import FfmpegError, UnreadableMediaError
from .ffmpeg import run_ffmpeg
from .pillow_avif import avif_available
from .readers.local import local_path, natural_order, video_input
from .readers.still import opened

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_UNICODE = b"UNICODE\0"
# ffmpeg's own text format: key=value lines, a backslash before what would end either.
_METADATA = re.compile(r"^((?:\\.|[^\\=\n])*)=((?:\\.|[^\\\n])*)$", re.MULTILINE | re.DOTALL)


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
    comment = _UNICODE + infotext.encode("utf-16-be")
    pointer = struct.pack(">HHHII I", 1, _EXIF_IFD, 4, 1, 26, 0)
    entry = struct.pack(">HHHII I", 1, _USER_COMMENT, 7, len(comment), 44, 0)
    return b"Exif\0\0" + struct.pack(">2sHI", b"MM", 42, 8) + pointer + entry + comment


def read_infotext(path: Path | str) -> str | None:
    """The infotext inside a file (of a folder: its first frame), or None where there is none.

    Raises UnreadableMediaError for what is neither a picture, a video nor a text file.
    """
    file = local_path(path)
    if file.is_dir():
        frames = natural_order(file)
        return read_infotext(frames[0]) if frames else None
    if file.suffix.lower() == ".txt":
        return file.read_bytes().decode("utf-8", "replace") or None
    avif_available()  # registers the plugin where Pillow needs one
    with opened(file) as image:
        return _video_comment(file) if image is None else _image_text(image)


def _image_text(image: Image.Image) -> str | None:
    text: object = image.info.get("parameters") or image.info.get("comment")
    exif: object = image.info.get("exif")
    if text is None and isinstance(exif, bytes):
        comment: object = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
        return _user_comment(comment) if isinstance(comment, bytes) else None
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    return str(text) if text else None


def _user_comment(comment: bytes) -> str:
    encoding, text = comment[:8], comment[8:]
    return text.decode("utf-16-be" if encoding == _UNICODE else "utf-8", "replace")


def _video_comment(path: Path) -> str | None:
    try:
        output = run_ffmpeg([*video_input(path), "-f", "ffmetadata", "pipe:1"])
    except FfmpegError as error:
        raise UnreadableMediaError(f"{path} is neither a picture nor a video: {error}") from error
    for key, value in _METADATA.findall(output.decode("utf-8", "replace")):
        if key.lower() == "comment":
            return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    return None
