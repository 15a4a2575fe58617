"""The animation's parameters inside an infotext: one field, `AnimateDiff: "..."`.

Its value is a JSON object of what is not at its default, by API name, quoted once more as a JSON string. So
it survives any infotext parser that unquotes JSON strings, whatever commas, colons and quotes are in it.
Pictures and paths never go in; the motion module's name and hash do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from .errors import InfotextError, ParameterError
from .fields import Value, json_value
from .parameters import (
    FIELD_BY_NAME,
    Parameters,
    changed_values,
    parse_parameters,
    replace_values,
)
from .written import Written

KEY = "AnimateDiff"
HASH_KEY = "model_hash"
_OLD_HASH_KEY = "mm_hash"
_OLD_KEY = re.compile(r"\s*(\w+):(?:\s+|$)")


@dataclass(frozen=True)
class AnimationInfo:
    """What an infotext says about an animation; `unknown` are keys of other versions, which were left out."""

    parameters: Parameters
    model_hash: str | None = None
    unknown: tuple[str, ...] = ()


def format_value(parameters: Parameters, *, model: str | None = None, model_hash: str | None = None) -> str:
    """The field's value before quoting, for hosts that quote by themselves.

    `model` is the module that was used, where the parameters leave the choice open.
    """
    changed = changed_values(public(parameters))
    values = {name: json_value(value) for name, value in changed.items()}
    if model is not None:
        values["model"] = model
    if model_hash is not None:
        values[HASH_KEY] = model_hash
    return json.dumps(values, ensure_ascii=False)


def format_field(parameters: Parameters, *, model: str | None = None, model_hash: str | None = None) -> str:
    """The whole field, `AnimateDiff: "..."`, to be put beside an infotext's other fields."""
    return f"{KEY}: {json.dumps(format_value(parameters, model=model, model_hash=model_hash))}"


def parse_value(text: str) -> AnimationInfo:
    """What a field's unquoted value says; also reads the older `enable: True, fps: 8, ...`.

    Keys that are not known are collected, not refused: an infotext may come from a newer version.
    Raises InfotextError.
    """
    try:
        raw = _older_values(text) if not text.lstrip().startswith("{") else json.loads(text)
        values = cast("dict[str, object]", raw)
        readable = {key: value for key, value in values.items() if _is_readable(key)}
        parameters = parse_parameters(readable)
    except ParameterError as error:
        raise InfotextError(f"The {KEY} field of the infotext cannot be read: {error}") from error
    # ValueError: no JSON, or a number of thousands of digits; RecursionError: brackets without end.
    except (ValueError, RecursionError) as error:
        raise InfotextError(f"The {KEY} field of the infotext is cut or changed: {error}.") from error
    model_hash = values.get(HASH_KEY, values.get(_OLD_HASH_KEY))
    unknown = tuple(key for key in values if key not in {*readable, HASH_KEY, _OLD_HASH_KEY})
    return AnimationInfo(parameters, None if model_hash is None else str(model_hash), unknown)


def public(parameters: Parameters) -> Parameters:
    """`parameters` without what never goes into an infotext: pictures and paths."""
    told: dict[str, Value] = {}
    for name, value in changed_values(parameters).items():
        if _is_private(name):
            told[name] = FIELD_BY_NAME[name].default
        elif isinstance(value, Written):
            told[name] = value.public()
    return replace_values(parameters, told)


def _is_private(name: str) -> bool:
    return FIELD_BY_NAME[name].infotext_key is None


def _is_readable(name: str) -> bool:
    return name in FIELD_BY_NAME and not _is_private(name)


def _older_values(text: str) -> Mapping[str, Value]:
    """The values of `enable: True, model: a.ckpt, ...`, as other versions of the extension wrote them."""
    pairs: list[tuple[str, list[str]]] = []
    for entry in text.split(","):
        match = _OLD_KEY.match(entry)
        if match:
            pairs.append((match[1], [entry[match.end() :]]))
        elif pairs:  # a comma inside a value
            pairs[-1][1].append(entry)
    return {key: _read_older(key, ",".join(parts)) for key, parts in pairs}


def _read_older(key: str, text: str) -> Value:
    return FIELD_BY_NAME[key].read_text(text) if _is_readable(key) else text
