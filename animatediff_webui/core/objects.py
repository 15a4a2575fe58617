"""Parameters that are objects of JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .errors import ParameterError, shown_text


def read_object(raw: Mapping[object, object], keys: Collection[str], name: str) -> dict[str, object]:
    """What an object gives, without what is null. ParameterError, which calls it `name`, for other keys."""
    values = {str(key): value for key, value in raw.items()}
    for key in values:
        if key not in keys:
            raise ParameterError(f"{name} has no {shown_text(key)}: there are {', '.join(keys)}.")
    return {key: value for key, value in values.items() if value is not None}
