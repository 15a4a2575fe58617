"""Which blocks of a UNet a motion module acts on, and how strongly: `down 0: 0.5, mid: 0, up 3.1: 0`.

`down 0` is the first and finest level on the way down, `up 3` the last one, just as fine; `up 3.1` is the
second layer of it alone. What is not named counts 1; a layer's own number counts instead of its level's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from .errors import ParameterError, shown
from .written import NUMBER, Written, written

LARGEST = 100.0
ALLOWED = 'weights of blocks such as "down 0: 0.5, mid: 0, up 3.1: 0"'
_NAME = re.compile(r"(?:(?P<side>down|up)\s*(?P<level>[0-3])(?:\.(?P<layer>[0-2]))?|mid)")
_ENTRY = re.compile(rf"(?P<name>[a-z]+\s*[0-9.]*?)\s*:\s*(?P<weight>{NUMBER})")


@dataclass(frozen=True)
class BlockWeights(Written):
    """A weight for each name that was given one."""

    weights: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return ", ".join(f"{name}: {written(weight)}" for name, weight in self.weights)

    def of(self, block: str, level: int, layer: int) -> float:
        """The weight of a layer: `block` is down, mid or up."""
        weights = dict(self.weights)
        level_name = block if block == "mid" else f"{block} {level}"
        return weights.get(f"{level_name}.{layer}", weights.get(level_name, 1.0))


ALL_BLOCKS = BlockWeights()


def parse_blocks(raw: object, name: str) -> BlockWeights:
    """The weights that a text or an object holds. Raises ParameterError, which calls them `name`."""
    if isinstance(raw, BlockWeights):
        return raw
    pairs = _split(raw, name) if isinstance(raw, str) else _items(raw, name)
    weights: dict[str, float] = {}
    for key, value in pairs:
        block = _read_name(key, name)
        if block in weights:
            raise ParameterError(f"{name} names {block} twice: name it once.")
        weights[block] = _read_weight(value, name)
    return BlockWeights(tuple(weights.items()))


def _split(text: str, name: str) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ParameterError(f"{name} is {shown(text)}, but must be {ALLOWED}.")
        pairs.append((match["name"], float(match["weight"])))
    return pairs


def _items(raw: object, name: str) -> list[tuple[str, object]]:
    if not isinstance(raw, Mapping):
        raise ParameterError(f"{name} is {shown(raw)}, but must be {ALLOWED}.")
    return [(str(key), value) for key, value in cast("Mapping[object, object]", raw).items()]


def _read_name(text: str, name: str) -> str:
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise ParameterError(
            f"{name} names {shown(text)}, but must name down 0 to 3, mid or up 0 to 3, or a layer such as up "
            "3.1."
        )
    if match["side"] is None:
        return "mid"
    layer = "" if match["layer"] is None else f".{match['layer']}"
    return f"{match['side']} {match['level']}{layer}"


def _read_weight(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LARGEST:
        raise ParameterError(f"{name} has the weight {shown(value)}, but it must be from 0 to {LARGEST:g}.")
    return float(value)
