"""Images inside parameters: the bytes of files in, PIL images out, and back as data URLs."""

from __future__ import annotations

import base64
import struct
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import ParameterError

MAX_PIXELS = 64 * 10**6
DAMAGES = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, RuntimeError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises for damaged pictures, its plug-ins' own slips among it."""
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")


def decode_image(data: bytes, name: str) -> Image.Image:
    """The picture in `data`, upright and in RGB; its size is checked before anything is unpacked.

    Raises ParameterError, naming the parameter `name`.
    """
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=_FORMATS)
        _check_size(image, name)
        return (ImageOps.exif_transpose(image) or image).convert("RGB")
    except ParameterError:
        raise
    except UnidentifiedImageError as error:
        raise ParameterError(
            f"{name} holds {len(data)} bytes that are no picture: send a {', '.join(_FORMATS)} as base64."
        ) from error
    except DAMAGES as error:
        raise ParameterError(f"{name} holds a damaged picture ({error}): send the whole file.") from error


def encode_image(image: Image.Image) -> str:
    """`image` as a PNG data URL, from which it is read back without loss."""
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ParameterError(
            f"{name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS // 10**6} million are "
            "accepted: send a smaller picture."
        )
