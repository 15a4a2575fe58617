"""LoRA tags in prompts, by the WebUI's syntax: `<lora:name:0.8>`, `<lora:name:te=1:unet=0.8>`.

What follows the name are up to three numbers: the strength in the text encoder, in the UNet, and the rank.
They may be named (`te=`, `unet=`, `dyn=`). One number is the strength in both; none is 1. `<lyco:...>` is an
older spelling.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from .errors import LoraTagError, shown, shown_text

_TAG = re.compile(r"<(?:lora|lyco):(?P<name>[^:<>]+)(?P<numbers>(?::[^<>]*)?)>", re.IGNORECASE)
_POSITIONS = ("te", "unet", "dyn")


@dataclass(frozen=True)
class LoraTag:
    """A tag: `strength` is that in the UNet, `text` the tag as written."""

    name: str
    strength: float
    text: str


def find_lora_tags(text: str) -> tuple[LoraTag, ...]:
    """All tags of a prompt. Raises LoraTagError for a strength that is no number."""
    return tuple(_read_tag(match) for match in _TAG.finditer(text))


def take_lora_tags(
    text: str, is_taken: Callable[[str], bool] = lambda name: True
) -> tuple[str, tuple[LoraTag, ...]]:
    """The prompt without the tags of LoRAs that `is_taken` says yes to, by name, and those tags.

    Nothing but the tags is cut out. Raises LoraTagError for a taken tag whose strength is no number.
    """
    taken: list[LoraTag] = []

    def cut(match: re.Match[str]) -> str:
        if not is_taken(_name(match)):
            return match[0]
        taken.append(_read_tag(match))
        return ""

    return _TAG.sub(cut, text), tuple(taken)


def _name(match: re.Match[str]) -> str:
    return match["name"].strip()


def _read_tag(match: re.Match[str]) -> LoraTag:
    numbers = _named_numbers(match["numbers"])
    text = numbers.get("unet") or numbers.get("te") or "1"
    try:
        strength = float(text)
    except ValueError:
        strength = math.nan
    if not math.isfinite(strength):
        raise LoraTagError(
            f"{shown_text(match[0])} has the strength {shown(text)}, but it must be a number: write "
            f"<lora:{shown_text(_name(match))}:0.8>."
        )
    return LoraTag(_name(match), strength, match[0])


def _named_numbers(text: str) -> dict[str, str]:
    """`:0.5:unet=0.8` as {"te": "0.5", "unet": "0.8"}."""
    numbers: dict[str, str] = {}
    unnamed = iter(_POSITIONS)
    for argument in text.split(":")[1:]:
        name, equals, number = argument.partition("=")
        if equals:
            numbers[name.strip()] = number
        else:
            numbers[next(unnamed, "")] = argument
    return numbers
