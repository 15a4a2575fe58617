"""The infotext of a file, read from where its format keeps it."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from animatediff_webui.media.errors import FfmpegError, UnreadableMediaError
from animatediff_webui.media.ffmpeg import run_ffmpeg, video_input
from animatediff_webui.media.infotext import EXIF_IFD, UNICODE, USER_COMMENT
from animatediff_webui.media.pillow_avif import avif_available

from .local import local_path, natural_order
from .still import opened

# ffmpeg's own text format: key=value lines, a backslash before what would end either.
_METADATA = re.compile(r"^((?:\\.|[^\\=\n])*)=((?:\\.|[^\\\n])*)$", re.MULTILINE | re.DOTALL)


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
        comment: object = image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT)
        return _user_comment(comment) if isinstance(comment, bytes) else None
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    return str(text) if text else None


def _user_comment(comment: bytes) -> str:
    encoding, text = comment[:8], comment[8:]
    return text.decode("utf-16-be" if encoding == UNICODE else "utf-8", "replace")


def _video_comment(path: Path) -> str | None:
    try:
        output = run_ffmpeg([*video_input(path), "-f", "ffmetadata", "pipe:1"])
    except FfmpegError as error:
        raise UnreadableMediaError(f"{path} is neither a picture nor a video: {error}") from error
    for key, value in _METADATA.findall(output.decode("utf-8", "replace")):
        if key.lower() == "comment":
            return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    return None
