"""Pictures that callers give: as such, as files, or as base64."""

from __future__ import annotations

from animatediff_webui.core.fields import Field, Kind
from animatediff_webui.core.received import is_received_file
from animatediff_webui.media.readers import read_picture

from .keywords import as_path


def read_picture_value(field: Field, value: object) -> object:
    """`value`; where `field` takes a picture, and it is a path, the picture in that file.

    Raises UnreadableMediaError.
    """
    if field.kind is not Kind.IMAGE:
        return value
    path = as_path(value)
    if path is None or (isinstance(value, str) and (not value or is_received_file(value))):
        return value
    return read_picture(path)
