"""Further motion modules beside the first: which, how strongly, where in the UNet, and in which steps.

As JSON: a list of objects with "model", "effect" (a multival), "blocks" (weights of blocks), "start" and
"end" (of sampling, 0 to 1) and "loras" (a list such as ["pan_left:0.7"]); a name alone stands for an object
with a model and nothing else. As a text: that JSON, or names with ";" between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, cast

from .blocks import ALL_BLOCKS, BlockWeights, parse_blocks
from .errors import ParameterError, shown
from .objects import read_object
from .written import Written, written

if TYPE_CHECKING:
    from .multival import Multival

ALLOWED = (
    'a list of motion modules by name, or of objects such as {"model": "mm.safetensors", "effect": 0.5, '
    '"blocks": "mid: 0", "start": 0, "end": 0.6, "loras": ["pan_left:0.7"]}'
)
MOST = 8
ParseEffect: TypeAlias = "Callable[[object, str], Multival]"
"""Reads a multival, by the name that a refusal calls it."""
_KEYS = ("model", "effect", "blocks", "start", "end", "loras")
_STRENGTH = re.compile(r"(?P<name>.+?)(?::(?P<strength>-?(?:[0-9]{1,6}(?:\.[0-9]*)?|\.[0-9]+)))?", re.DOTALL)


@dataclass(frozen=True)
class ExtraModule:
    """One of them; it acts in the steps from the share `start` of sampling on, up to `end`.

    `loras` are names with strengths.
    """

    model: str
    effect: Multival
    blocks: BlockWeights = ALL_BLOCKS
    start: float = 0.0
    end: float = 1.0
    loras: tuple[tuple[str, float], ...] = ()

    @property
    def json(self) -> dict[str, object]:
        """As JSON has it, without what is at its default."""
        values: dict[str, object] = {"model": self.model}
        if not self.effect.is_one:
            values["effect"] = self.effect.json
        if self.blocks.weights:
            values["blocks"] = self.blocks.json
        values |= {
            key: number
            for key, number, default in (("start", self.start, 0), ("end", self.end, 1))
            if number != default
        }
        if self.loras:
            values["loras"] = [f"{name}:{_signed(strength)}" for name, strength in self.loras]
        return values


@dataclass(frozen=True)
class ExtraModules(Written):
    """The further modules, in the order in which they act."""

    modules: tuple[ExtraModule, ...] = ()

    def __str__(self) -> str:
        return json.dumps(self.json, ensure_ascii=False) if self.modules else ""

    @property
    def json(self) -> object:
        return [module.json for module in self.modules]

    def public(self) -> ExtraModules:
        return ExtraModules(tuple(replace(module, effect=module.effect.public()) for module in self.modules))


NO_FURTHER = ExtraModules()


def _signed(number: float) -> str:
    return f"-{written(-number)}" if number < 0 else written(number)


def is_module_name(text: str) -> bool:
    """Whether a text can be a name in a list of modules: never a way out of their folders."""
    parts = re.split(r"[/\\]", text)
    if not text.isprintable() or ":" in parts[0]:
        return False
    return not any(part.strip() in ("", ".", "..") for part in parts)


def parse_modules(raw: object, name: str, parse_effect: ParseEffect) -> ExtraModules:
    """The modules that a list, an object or a text is. Raises ParameterError, which calls it `name`."""
    if isinstance(raw, ExtraModules):
        return raw
    listed = _split(raw, name) if isinstance(raw, str) else raw
    if isinstance(listed, Mapping):
        listed = [cast("Mapping[object, object]", listed)]
    if not isinstance(listed, (list, tuple)):
        raise _refused(raw, name)
    rows = cast("Sequence[object]", listed)
    if len(rows) > MOST:
        raise ParameterError(
            f"{name} holds {len(rows)} motion modules, but there can be {MOST} beside the first."
        )
    return ExtraModules(tuple(_parse_module(row, name, parse_effect) for row in rows))


def _split(text: str, name: str) -> object:
    if not text.lstrip().startswith(("[", "{")):
        return [entry.strip() for entry in text.split(";") if entry.strip()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(
            f"{name} is {shown(text)}, which is no JSON ({error}): see to its quotes."
        ) from error


def _parse_module(raw: object, name: str, parse_effect: ParseEffect) -> ExtraModule:
    if isinstance(raw, str):
        raw = {"model": raw}
    if not isinstance(raw, Mapping):
        raise _refused(raw, name)
    given = read_object(cast("Mapping[object, object]", raw), _KEYS, name)
    model = given.get("model")
    if not isinstance(model, str) or not is_module_name(model):
        raise ParameterError(f"{name} names the model {shown(model)}, but it must be one in the module list.")
    start, end = (
        _read_share(given.get(key, default), f"{name}'s {key}") for key, default in (("start", 0), ("end", 1))
    )
    if start >= end:
        raise ParameterError(f"{name} has a start of {start:g}, but it must be below the end ({end:g}).")
    return ExtraModule(
        model,
        parse_effect(given.get("effect", 1), f"{name}'s effect"),
        parse_blocks(given.get("blocks", ""), f"{name}'s blocks"),
        start,
        end,
        _read_loras(given.get("loras", []), name),
    )


def _read_share(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ParameterError(
            f"{name} is {shown(value)}, but must be a number from 0 to 1, a share of sampling."
        )
    return float(value)


def _read_loras(raw: object, name: str) -> tuple[tuple[str, float], ...]:
    listed = [raw] if isinstance(raw, str) else raw
    if not isinstance(listed, (list, tuple)):
        raise ParameterError(
            f'{name}\'s loras are {shown(raw)}, but must be a list such as ["pan_left:0.7"].'
        )
    return tuple(_read_lora(item, name) for item in cast("Sequence[object]", listed))


def _read_lora(raw: object, name: str) -> tuple[str, float]:
    match = _STRENGTH.fullmatch(raw) if isinstance(raw, str) else None
    if match is None or not is_module_name(match["name"]):
        raise ParameterError(f'{name} names the LoRA {shown(raw)}, but must name one such as "pan_left:0.7".')
    return match["name"].strip(), float(match["strength"] or 1)


def _refused(raw: object, name: str) -> ParameterError:
    return ParameterError(f"{name} is {shown(raw)}, but must be {ALLOWED}.")
