"""What one parameter is: its names, its type, its bounds, and how a value is read and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias, cast

from PIL import Image

from . import affinity, blocks, camera, keyframes, modules, multival
from .affinity import parse_affinity
from .blocks import parse_blocks
from .camera import parse_camera_motion
from .errors import ParameterError, ScheduleError, shown
from .image import decode_image, encode_image
from .keyframes import parse_keyframes
from .modules import is_module_name, parse_modules
from .multival import Multival, parse_multival
from .positions import MAX_FRAME_NUMBER, read_moment
from .received import decode_base64
from .schedules import Schedule, parse_schedule
from .written import Written

Value: TypeAlias = "bool | int | float | str | tuple[str | int, ...] | Image.Image | Written | None"


class Kind(Enum):
    """The types a parameter can have."""

    BOOL = "bool"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    MODEL = "model"
    FURTHER_MODEL = "further model"
    PATH = "path"
    MOMENT = "moment"
    IMAGE = "image"
    CHOICE = "choice"
    CHOICES = "choices"
    MULTIVAL = "multival"
    SCHEDULE = "schedule"
    BLOCKS = "blocks"
    MODULES = "modules"
    AFFINITY = "affinity"
    CAMERA = "camera"
    KEYFRAMES = "keyframes"


@dataclass(frozen=True)
class Field:
    """One row of the parameter table.

    `attribute` is where the value lives in `Parameters`, e.g. "context.overlap". `above` is a bound that is
    itself not allowed, `multiple_of` what whole numbers have to be a multiple of. A text without a `pattern`
    may be any. `help` is a line below a widget, `details` what else there is to know. `aliases` and
    `old_values` are older spellings of key and value. Values of `private` fields stay out of infotexts.
    """

    name: str
    attribute: str
    label: str
    kind: Kind
    group: str
    help: str
    default: Value
    minimum: int | float | None = None
    above: float | None = None
    maximum: int | float | None = None
    choices: tuple[str | int, ...] = ()
    pattern: str = ""
    aliases: tuple[str, ...] = ()
    old_values: tuple[tuple[bool, str], ...] = ()
    private: bool = False
    details: str = ""
    multiple_of: int = 1

    @property
    def full_help(self) -> str:
        """Everything there is to say about the field."""
        return f"{self.help} {self.details}".strip()

    @property
    def infotext_key(self) -> str | None:
        """The name this field has inside the infotext, or None where it never goes there."""
        return None if self.private else self.name

    @property
    def allowed(self) -> str:
        """What a value may be, in words that follow "must be"."""
        words = {
            Kind.BOOL: "true or false",
            Kind.INTEGER: f"{self._whole_number}{self._bounds}",
            Kind.NUMBER: f"a number{self._bounds}",
            Kind.TEXT: f"a text that matches {self.pattern}" if self.pattern else "a text",
            Kind.MODEL: 'a name from the module list, such as "mm.safetensors" or "folder/mm.safetensors"',
            Kind.FURTHER_MODEL: 'a name from the module list, such as "CameraCtrl.ckpt"',
            Kind.PATH: "a path",
            Kind.MOMENT: 'the number of a frame, counted from 0, or a time such as "1.5s"',
            Kind.IMAGE: "a picture as base64 or a data URL",
            Kind.CHOICE: f"one of {self._listed}",
            Kind.CHOICES: f"a list of {self._listed}",
            Kind.MULTIVAL: multival.allowed(self.maximum or multival.LARGEST),
            Kind.SCHEDULE: 'a schedule over steps such as "0: 7, 50%: 4"',
            Kind.BLOCKS: blocks.ALLOWED,
            Kind.MODULES: modules.ALLOWED,
            Kind.AFFINITY: affinity.ALLOWED,
            Kind.CAMERA: camera.ALLOWED,
            Kind.KEYFRAMES: keyframes.ALLOWED,
        }
        return words[self.kind]

    @property
    def _bounds(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f" from {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f" of {self.minimum} or more"
        if self.above is None:
            return ""
        return f" above {self.above:g}" + (f", at most {self.maximum}" if self.maximum is not None else "")

    @property
    def _whole_number(self) -> str:
        return "a whole number" if self.multiple_of == 1 else f"a multiple of {self.multiple_of}"

    @property
    def _listed(self) -> str:
        return ", ".join(map(str, self.choices))

    def read(self, raw: object) -> Value:
        """`raw`, as an API client or a widget sends it, as a checked value; None is the default.

        Raises ParameterError, naming the key, the value and what is allowed.
        """
        if raw is None or (isinstance(raw, str) and not raw and self.kind in _EMPTY_IS_MISSING):
            return self.default
        return _READERS[self.kind](self, raw)

    def read_text(self, text: str) -> Value:
        """The same from a text, as a command line, an XYZ axis or an infotext holds it."""
        stripped = text.strip()
        if stripped.lower() in ("none", "null") and self.default is None:
            return None
        if self.kind is Kind.BOOL and stripped.lower() in _BOOLEANS:
            return _BOOLEANS[stripped.lower()]
        if self.kind in (Kind.INTEGER, Kind.NUMBER):
            return self.read(_number(stripped))
        if self.kind is Kind.CHOICES:
            return self.read(_listed_values(stripped))
        return self.read(text if self.kind in _AS_TYPED else stripped)

    def schema(self) -> dict[str, Any]:
        """This field as a JSON Schema; null always means the default. (Any: JSON.)"""
        schema: dict[str, Any] = {"title": self.label, "description": self.full_help}
        if self.kind is Kind.CHOICE:
            schema["enum"] = [*self.choices, None]
        elif self.kind is Kind.CHOICES:
            items = {"enum": list(self.choices)}
            schema["anyOf"] = [{"type": "array", "items": items}, items, {"type": "null"}]
        elif self.kind in _WRITTEN_TYPES:
            schema["type"] = [*_WRITTEN_TYPES[self.kind], "null"]
        elif self.kind is Kind.MOMENT:
            schema["anyOf"] = [{"type": "integer", "minimum": 0}, {"type": "string"}, {"type": "null"}]
        else:
            schema["type"] = [_JSON_TYPES.get(self.kind, "string"), "null"]
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.above is not None:
            schema["exclusiveMinimum"] = self.above
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        if self.multiple_of != 1:
            schema["multipleOf"] = self.multiple_of
        if self.pattern:
            schema["pattern"] = f"^{self.pattern}$"
        schema["default"] = json_value(self.default)
        return schema

    def refuse(self, value: object) -> ParameterError:
        """The error for a value that is not allowed."""
        verb = "holds" if self.kind is Kind.CHOICES else "is"
        return ParameterError(f"{self.name} {verb} {shown(value)}, but must be {self.allowed}.")


def json_value(value: Value) -> Any:
    """One value as JSON has it. (Any: JSON.)"""
    return _encoded(value.json if isinstance(value, Written) else value)


def _encoded(value: Any) -> Any:
    """Lists of tuples, and pictures as data URLs, however deep. (Any: JSON.)"""
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {key: _encoded(each) for key, each in cast("dict[str, Any]", value).items()}
    return encode_image(value) if isinstance(value, Image.Image) else value


def _number(text: str) -> int | float | str:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text.strip()


def _listed_values(text: str) -> list[int | float | str]:
    """The values of `a, b`, `[1, 2]` or `('a', 'b')`."""
    values: list[int | float | str] = []
    for item in text.strip("[]()").split(","):
        value = item.strip(" '\"")
        if value:
            values.append(_number(value))
    return values


def _read_bool(field: Field, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    raise field.refuse(raw)


def _read_number(field: Field, raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not -_FINITE < raw < _FINITE:
        raise field.refuse(raw)
    too_low = (field.minimum is not None and raw < field.minimum) or (
        field.above is not None and raw <= field.above
    )
    if too_low or (field.maximum is not None and raw > field.maximum):
        raise field.refuse(raw)
    return float(raw)


def _read_integer(field: Field, raw: object) -> int:
    number = _read_number(field, raw)
    if not number.is_integer():
        raise field.refuse(raw)
    whole = raw if isinstance(raw, int) else int(number)  # a float has not all digits of a large number
    if whole % field.multiple_of:
        raise field.refuse(raw)
    return whole


def _read_text(field: Field, raw: object) -> str:
    if isinstance(raw, str) and re.fullmatch(field.pattern or _ANY_TEXT, raw):
        return raw
    raise field.refuse(raw)


def _read_path(field: Field, raw: object) -> str:
    if isinstance(raw, str) and "\0" not in raw:
        return raw
    raise field.refuse(raw)


def _read_moment(field: Field, raw: object) -> int | str:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw < MAX_FRAME_NUMBER:
        return raw
    moment = read_moment(raw) if isinstance(raw, str) else None
    if moment is None:
        raise field.refuse(raw)
    return moment


def _read_model(field: Field, raw: object) -> str:
    if not isinstance(raw, str) or not is_module_name(raw):
        raise field.refuse(raw)
    return raw


def _read_image(field: Field, raw: object) -> Image.Image:
    if isinstance(raw, Image.Image):
        return raw
    if isinstance(raw, str):
        return _decoder(field.name)(raw)
    raise field.refuse(raw)


def _decoder(name: str) -> Callable[[str], Image.Image]:
    """Makes pictures of base64 and data URLs, for the parameter `name`."""
    return lambda text: decode_image(decode_base64(text, name), name)


def _read_choice(field: Field, raw: object) -> str | int:
    if isinstance(raw, bool):
        old_values = dict(field.old_values)
        if raw not in old_values:
            raise field.refuse(raw)
        raw = old_values[raw]
    for choice in field.choices:
        if isinstance(raw, str) and str(choice).lower() == raw.strip().lower():
            return choice
        if isinstance(choice, int) and isinstance(raw, (int, float)) and raw == choice:
            return choice
    raise field.refuse(raw)


def _read_choices(field: Field, raw: object) -> tuple[str | int, ...]:
    values = cast("Sequence[object]", raw) if isinstance(raw, (list, tuple)) else (raw,)
    return tuple(dict.fromkeys(_read_choice(field, value) for value in values))


def _read_multival(raw: object, name: str) -> Multival:
    return parse_multival(raw, name).with_pictures(_decoder(name))


def _read_bounded_multival(field: Field, raw: object) -> Multival:
    values = _read_multival(raw, field.name)
    if field.maximum is not None and values.highest > field.maximum:
        raise field.refuse(str(values))
    return values


def _read_schedule(field: Field, raw: object) -> Schedule | None:
    if isinstance(raw, Schedule):
        return raw
    if not isinstance(raw, str):
        raise field.refuse(raw)
    if not raw.strip():
        return None
    try:
        schedule = parse_schedule(raw)
    except ScheduleError as error:
        raise ParameterError(f"{field.name} is {shown(raw)}, but {error}.") from error
    for entry in schedule.entries:
        _read_number(field, entry.value)
    return schedule


_FINITE = 1e300
_ANY_TEXT = re.compile(".*", re.DOTALL)
_NAMES = (Kind.MODEL, Kind.FURTHER_MODEL)
_EMPTY_IS_MISSING = frozenset({*_NAMES, Kind.PATH, Kind.IMAGE, Kind.MOMENT})
_AS_TYPED = frozenset({*_NAMES, Kind.PATH, Kind.TEXT})
_BOOLEANS = {"true": True, "false": False, "on": True, "off": False, "yes": True, "no": False}
_JSON_TYPES = {Kind.BOOL: "boolean", Kind.INTEGER: "integer", Kind.NUMBER: "number"}
_WRITTEN_TYPES = {
    Kind.MULTIVAL: ("number", "string", "object", "array"),
    Kind.SCHEDULE: ("string",),
    Kind.BLOCKS: ("string", "object"),
    Kind.MODULES: ("string", "object", "array"),
    Kind.AFFINITY: ("string", "integer", "array"),
    Kind.CAMERA: ("string",),
    Kind.KEYFRAMES: ("string", "array"),
}
_READERS: dict[Kind, Callable[[Field, object], Value]] = {
    Kind.BOOL: _read_bool,
    Kind.INTEGER: _read_integer,
    Kind.NUMBER: _read_number,
    Kind.TEXT: _read_text,
    **dict.fromkeys(_NAMES, _read_model),
    Kind.PATH: _read_path,
    Kind.MOMENT: _read_moment,
    Kind.IMAGE: _read_image,
    Kind.CHOICE: _read_choice,
    Kind.CHOICES: _read_choices,
    Kind.MULTIVAL: _read_bounded_multival,
    Kind.SCHEDULE: _read_schedule,
    Kind.BLOCKS: lambda field, raw: parse_blocks(raw, field.name),
    Kind.MODULES: lambda field, raw: parse_modules(raw, field.name, _read_multival),
    Kind.AFFINITY: lambda field, raw: parse_affinity(raw, field.name),
    Kind.CAMERA: lambda field, raw: parse_camera_motion(raw, field.name),
    Kind.KEYFRAMES: lambda field, raw: parse_keyframes(raw, field.name, _decoder(field.name)),
}
