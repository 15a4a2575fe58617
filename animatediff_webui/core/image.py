"""Images inside parameters: base64 and data URLs in, PIL images out, and back."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import ParameterError
from .received import decode_base64

MAX_PIXELS = 64 * 10**6
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")


def decode_image(value: Image.Image | str, name: str) -> Image.Image:
    """The picture in `value`: base64 or a data URL, upright and in RGB; a PIL image passes as it is.

    Addresses and file names are refused, sizes are checked before anything is unpacked.
    Raises ParameterError, naming the parameter `name`.
    """
    if isinstance(value, Image.Image):
        return value
    data = decode_base64(value, name)
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


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ParameterError(
            f"{name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS // 10**6} million are "
            "accepted: send a smaller picture."
        )
