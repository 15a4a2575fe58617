"""A request's script arguments, in all the shapes that pages and API clients send.

The page sends all values in table order. Clients send one object, or several, in front of the page's
defaults, or a list of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TypeAlias, cast

from animatediff_webui.core.fields import Value
from animatediff_webui.core.parameters import FIELDS

Arguments: TypeAlias = "Sequence[object]"


def read_arguments(args: Arguments) -> object:
    """What the arguments say, for `parse_parameters`; None if they are not for us."""
    objects = list(takewhile(_is_object, args))
    if objects:
        is_off = any(each.get("enable") is False for each in map(_as_object, objects))
        return None if is_off else objects
    if args and _is_list(args[0]):
        return list(cast("Arguments", args[0]))
    return list(args) if args and args[0] else None


def is_enabled(args: Arguments) -> bool:
    """Whether these arguments ask for an animation."""
    if not args:
        return False
    first = args[0]
    if _is_object(first):
        return _as_object(first).get("enable") is True
    return is_enabled(cast("Arguments", first)) if _is_list(first) else first is True


def with_value(args: Arguments, name: str, value: Value) -> list[object]:
    """The arguments with another value of one parameter, in whichever shape they are."""
    if not args:
        return [{name: value}]
    first = args[0]
    if _is_object(first):
        return [{**_as_object(first), name: value}, *args[1:]]
    if _is_list(first):
        return [with_value(cast("Arguments", first), name, value), *args[1:]]
    index = [field.name for field in FIELDS].index(name)
    missing = max(0, index + 1 - len(args))
    values = [*args, *[None] * missing]
    values[index] = value
    return values


def _is_object(arg: object) -> bool:
    return isinstance(arg, Mapping)


def _as_object(arg: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", arg)


def _is_list(arg: object) -> bool:
    return isinstance(arg, (list, tuple))
