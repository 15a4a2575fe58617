"""Images inside parameters: base64 and data URLs in, PIL images out, and back."""

from __future__ import annotations

import base64
import binascii
import re
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import ParameterError

MAX_ENCODED_BYTES = 64 * 2**20
MAX_PIXELS = 64 * 10**6
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w=.+-]+)*;base64,")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")


def decode_image(value: Image.Image | str, name: str) -> Image.Image:
    """The picture in `value`: base64 or a data URL, upright and in RGB; a PIL image passes as it is.

    Addresses and file names are refused, sizes are checked before anything is unpacked.
    Raises ParameterError, naming the parameter `name`.
    """
    if isinstance(value, Image.Image):
        return value
    data = _decode_base64(value, name)
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=_FORMATS)
        _check_size(image, name)
        return (ImageOps.exif_transpose(image) or image).convert("RGB")
    except UnidentifiedImageError as error:
        raise ParameterError(
            f"{name} holds {len(data)} bytes that are no picture: send a {', '.join(_FORMATS)} as base64."
        ) from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ParameterError(f"{name} holds a damaged picture ({error}): send the whole file.") from error


def encode_image(image: Image.Image) -> str:
    """`image` as a PNG data URL, which `decode_image` reads back without loss."""
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _decode_base64(text: str, name: str) -> bytes:
    if len(text) > MAX_ENCODED_BYTES:
        raise ParameterError(
            f"{name} is {len(text) / 2**20:.0f} MiB of base64; at most {MAX_ENCODED_BYTES // 2**20} MiB are "
            "accepted: send a smaller picture."
        )
    header = _DATA_URL.match(text)
    body = text[header.end() :] if header else text
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ParameterError(
            f"{name} is neither base64 nor a data URL (it begins with {text[:24]!r}); web addresses and file "
            "names are not accepted: send the picture's bytes as base64."
        ) from error


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ParameterError(
            f"{name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS // 10**6} million are "
            "accepted: send a smaller picture."
        )
