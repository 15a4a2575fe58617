"""Values over frames and over the picture: a number, a schedule, a mask, or a product of them.

As a text: `1.4`, `0: 1, 50%: 0.4`, `left.png`, `left.png [0.2, 1.5]` (what black and white mean, else 0 and
1), and ` * ` between factors. As JSON: a number, such a text, an object with "value", "schedule" and "mask"
(a path, or a picture as a data URL) with "low" and "high", of which what is there is multiplied, or a list of
factors. A mask is a picture, or a folder or video of pictures, one a frame, stretched over what it acts on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import mul
from typing import TypeAlias, cast

from PIL import Image

from .errors import ParameterError, ScheduleError, shown
from .objects import read_object
from .schedules import Schedule, looks_like_schedule, parse_schedule
from .written import NUMBER, Written, written

LARGEST = 100.0
_NUMBER = re.compile(NUMBER)
_RANGE = re.compile(r"(?P<path>.*\S)\s*\[(?P<low>[^\[\],]*),(?P<high>[^\[\],]*)\]", re.DOTALL)
_PATH = re.compile(r"[./\\]")
_PRODUCT = re.compile(r"\s\*\s")
_KEYS = ("value", "schedule", "mask", "low", "high")


@dataclass(frozen=True)
class Mask:
    """Pictures whose grey levels are values: `low` where black, `high` where white.

    `source` is a path, a picture as a data URL, or a picture itself.
    """

    source: str | Image.Image
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        name = self.source if isinstance(self.source, str) else "a picture"
        if (self.low, self.high) == (0, 1):
            return name
        return f"{name} [{written(self.low)}, {written(self.high)}]"


Factor: TypeAlias = "float | Schedule | Mask"


@dataclass(frozen=True)
class Multival(Written):
    """The product of its factors; of none, 1."""

    factors: tuple[Factor, ...] = ()

    def __str__(self) -> str:
        parts = (written(factor) if isinstance(factor, float) else str(factor) for factor in self.factors)
        return " * ".join(parts) or "1"

    @property
    def is_one(self) -> bool:
        """Whether it changes nothing."""
        return not self.factors

    @property
    def highest(self) -> float:
        """What no value of it can be above."""
        return math.prod(map(_highest, self.factors))

    def with_pictures(self, decode: Callable[[str], Image.Image]) -> Multival:
        """It with its data URLs as pictures."""
        return Multival(tuple(_decoded(factor, decode) for factor in self.factors))

    def public(self) -> Multival:
        return Multival(tuple(factor for factor in self.factors if not isinstance(factor, Mask)))

    @property
    def json(self) -> object:
        """A number or a text where that says it all; pictures in it stay what they are."""
        if all(isinstance(factor, float) for factor in self.factors):
            number = math.prod(cast("tuple[float, ...]", self.factors))
            return int(number) if number == int(number) else number
        pictures = (factor for factor in self.factors if isinstance(factor, Mask))
        if all(isinstance(mask.source, str) and _reads_back(mask) for mask in pictures):
            return str(self)
        return [_factor_json(factor) for factor in self.factors]

    def over_frames(self, count: int, per_second: float | Fraction, name: str) -> FrameValues:
        """The values of a clip of `count` frames. Raises ParameterError, which calls them `name`."""
        values = (1.0,) * count
        for factor in self.factors:
            try:
                more = _frame_values(factor, count, per_second)
            except ScheduleError as error:
                raise ParameterError(f"{name} is {shown(str(self))}, but {error}.") from error
            values = tuple(map(mul, values, more))
        return FrameValues(name, str(self), values, tuple(m for m in self.factors if isinstance(m, Mask)))


ONE = Multival()


@dataclass(frozen=True)
class FrameValues:
    """A multival over the frames of a clip: a value for each, and masks yet to be read.

    `name` and `text` are for messages and previews.
    """

    name: str
    text: str
    values: tuple[float, ...]
    masks: tuple[Mask, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether it changes nothing."""
        return not self.masks and all(value == 1 for value in self.values)


def _decoded(factor: Factor, decode: Callable[[str], Image.Image]) -> Factor:
    if not isinstance(factor, Mask):
        return factor
    if isinstance(factor.source, str) and factor.source.startswith("data:"):
        return replace(factor, source=decode(factor.source))
    return factor


def parse_multival(raw: object, name: str) -> Multival:
    """The multival that a number, a text, an object or a list is. Raises ParameterError, naming it `name`."""
    factors = _flat(_parse(raw, name))
    return Multival(tuple(factor for factor in factors if factor != 1.0))


def _parse(raw: object, name: str) -> Iterable[Factor]:
    if isinstance(raw, Multival):
        return raw.factors
    if isinstance(raw, str):
        return _parse_text(raw, name)
    if isinstance(raw, Mapping):
        return _parse_object(cast("Mapping[object, object]", raw), name)
    if isinstance(raw, (list, tuple)):
        parts = cast("Sequence[object]", raw)
        if any(isinstance(part, (list, tuple)) for part in parts):
            raise _refused(parts, name)
        return [factor for part in parts for factor in _parse(part, name)]
    return [_read_number(raw, name)]


def _flat(factors: Iterable[Factor]) -> tuple[Factor, ...]:
    """Numbers made one, in front."""
    listed = list(factors)
    number = math.prod(item for item in listed if isinstance(item, float))
    return number, *(item for item in listed if not isinstance(item, float))


def _parse_text(text: str, name: str) -> list[Factor]:
    parts = [part.strip() for part in _PRODUCT.split(text)]
    return [_parse_part(part, name) for part in parts if part or len(parts) > 1]


def _parse_part(text: str, name: str) -> Factor:
    """One factor: what is neither a number nor a schedule, but could be a file's name, is a mask's path."""
    if _NUMBER.fullmatch(text):
        return _read_number(float(text), name)
    if looks_like_schedule(text):
        return _read_schedule(text, name)
    if not _PATH.search(text) or _is_number(text):
        raise _refused(text, name)
    span = _RANGE.fullmatch(text)
    if span is None:
        return _read_mask(text, 0.0, 1.0, name)
    low, high = (_number_in(span[end], text, name) for end in ("low", "high"))
    return _read_mask(span["path"], low, high, name)


def _parse_object(values: Mapping[object, object], name: str) -> Iterable[Factor]:
    given = read_object(values, _KEYS, name)
    if "mask" not in given and not given.keys().isdisjoint(("low", "high")):
        raise ParameterError(f"{name} has a low or a high, but no mask they are of: name a mask.")
    if "value" in given:
        yield _read_number(given["value"], name)
    if "schedule" in given:
        if not isinstance(given["schedule"], str):
            raise _refused(given["schedule"], name)
        yield _read_schedule(given["schedule"], name)
    if "mask" in given:
        low, high = _read_number(given.get("low", 0.0), name), _read_number(given.get("high", 1.0), name)
        yield _read_mask(given["mask"], low, high, name)


def _read_number(raw: object, name: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= LARGEST:
        raise _refused(raw, name)
    return float(raw)


def _is_number(text: str) -> bool:
    """Whether it is one that is not allowed, such as -1.5."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number_in(text: str, whole: str, name: str) -> float:
    number = text.strip()
    if not _NUMBER.fullmatch(number):
        raise _refused(whole, name)
    return _read_number(float(number), name)


def _read_schedule(text: str, name: str) -> Schedule:
    try:
        schedule = parse_schedule(text)
    except ScheduleError as error:
        raise ParameterError(f"{name} is {shown(text)}, but {error}.") from error
    for entry in schedule.entries:
        _read_number(entry.value, name)
    return schedule


def _read_mask(source: object, low: float, high: float, name: str) -> Mask:
    if isinstance(source, Image.Image):
        return Mask(source, low, high)
    if not isinstance(source, str) or not source.strip() or "\0" in source:
        raise _refused(source, name)
    return Mask(source, low, high)


def _refused(raw: object, name: str) -> ParameterError:
    return ParameterError(f"{name} is {shown(raw)}, but must be {allowed()}.")


def allowed(largest: float = LARGEST) -> str:
    """What a multival up to `largest` may be, in words that follow "must be"."""
    return (
        f'a number from 0 to {largest:g}, a schedule such as "0: 1, 50%: 0.4", a mask\'s path, or an object '
        "or a list of these"
    )


def _highest(factor: Factor) -> float:
    if isinstance(factor, Mask):
        return max(factor.low, factor.high)
    return max(entry.value for entry in factor.entries) if isinstance(factor, Schedule) else factor


def _reads_back(mask: Mask) -> bool:
    """Whether a mask's path is read as one inside a text."""
    try:
        return _parse_text(str(mask), "") == [mask]
    except ParameterError:
        return False


def _factor_json(factor: Factor) -> object:
    if isinstance(factor, Mask):
        return {"mask": factor.source, "low": factor.low, "high": factor.high}
    return {"schedule": str(factor)} if isinstance(factor, Schedule) else factor


def _frame_values(factor: Factor, count: int, per_second: float | Fraction) -> Sequence[float]:
    if isinstance(factor, Schedule):
        return factor.values(count, per_second)
    return (factor if isinstance(factor, float) else 1.0,) * count
