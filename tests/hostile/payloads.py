"""Requests as clients send them that mean harm, or know no better: by chance, the same for the same seed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from animatediff_webui.core.fields import Field, Kind
from animatediff_webui.core.parameters import FIELD_BY_NAME, FIELDS
from tests.core.arguments import base64_png, png_bytes


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    inside: list[Any] = []
    for _ in range(depth):
        inside = [inside]
    return inside


NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 4, 7, 8, 15, 16, 17, 24, 32, 33, 48, 100, 1024, 1025, 65_535, 99_999, 100_001, 10**9,
    2**31, 2**63, 10**18, 10**5000, -(10**5000), 0.0, -0.0, 0.25, 0.5, 1.0, 1.5, 7.999, 8.0, 1e-9, 1e-300,
    5e-324, 1e6, 1e299, 1e300, 1e308, float("nan"), float("inf"), float("-inf"), True, False,
    Fraction(30000, 1001), Decimal("8"), 1j, np.int64(8), np.float32(0.5), np.float64("nan"), np.bool_(True),
)  # fmt: skip
TEXTS: tuple[Any, ...] = (
    "", " ", "\n", "\0", "a\0b", "a\nb", "\ud800", "\udcff", "\u202e", "\u2028", "\ufeff", "é😀",
    "x" * 100_000, "0", "8", "-1", "8.0", "1e3", "nan", "inf", "0x10", "1_000", "٣", "²", "None", "null",
    "true", "False", "gif", "GIF", "GIF,MP4", "GIF ", "EXE", "R-P", "seamless", "A", "uniform", "Off",
    "linear", "mm.safetensors", "folder/mm.ckpt", "../mm.ckpt", "..", ".", "C:\\mm.ckpt", "//server/mm",
    "/etc/passwd", "http://localhost/a.png", "file:///etc/passwd", "data:,", "data:image/png;base64,",
    "AAAA", "A", "data:image/svg+xml;base64,PHN2Zy8+", "%s%n", "{}", "{enable}", "__class__", "<script>",
    "'; DROP TABLE", b"GIF", bytearray(b"8"),
)  # fmt: skip
OBJECTS: tuple[Any, ...] = (
    None, [], (), {}, [None], [[]], [0, 1, 2], [2, 1, 0, 0, 1], nested(900), nested(100_000), ["GIF"],
    ["GIF", "GIF"], ["GIF", 5], ["PNG"], {"a": 1}, {"enable": True}, {1, 2}, range(3), object(), int,
    np.zeros(0), np.zeros((2, 2)), np.array(8), Image.new("RGB", (2, 2)), Image.new("1", (1, 1)),
    Image.new("I;16", (2, 2)), Image.new("CMYK", (2, 2)), Image.new("RGB", (0, 0)),
)  # fmt: skip
NAMES = tuple(FIELD_BY_NAME)
STRANGE_KEYS: tuple[Any, ...] = (
    "", " enable", "Enable", "fpz", "__class__", "\ud800", "\0", "x" * 10_000, 5, None, True, b"fps",
    ("fps",), 1.5,
)  # fmt: skip
SHARES = (0.0, 0.0, 0.0, 0.1, 0.5)
"""Of wrong values in a request: where there are many, the first hides the others."""
MOST_FRAMES = 64
"""Of most clips that are accepted: planning takes time by their length."""


def any_value(random: Random) -> Any:
    """What is no value of most fields."""
    if random.random() < 0.1:
        return damaged_picture(random)
    return random.choice(random.choice((NUMBERS, TEXTS, OBJECTS)))


def damaged_picture(random: Random) -> str:
    """A picture in base64 that was cut or changed on its way."""
    data = bytearray(png_bytes((random.randrange(1, 9), random.randrange(1, 9))))
    for _ in range(random.randrange(4)):
        data[random.randrange(len(data))] = random.randrange(256)
    return base64.b64encode(data[: random.randrange(len(data) + 1)]).decode()


def good_value(field: Field, random: Random) -> Any:
    """A value that the field allows, if not always beside the others."""
    return GOOD[field.kind](field, random)


def _integer(field: Field, random: Random) -> int:
    low, high = int(field.minimum or 0), min(int(field.maximum or MOST_FRAMES), MOST_FRAMES)
    return random.choice((low, high, random.randint(low, high)))


def _number(field: Field, random: Random) -> float:
    low, high = field.minimum or field.above or 0, field.maximum or 60
    return random.choice((low, high, random.uniform(low, high), 8, 8.0))


GOOD: dict[Kind, Callable[[Field, Random], Any]] = {
    Kind.BOOL: lambda field, random: random.random() < 0.5,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.TEXT: lambda field, random: random.choice(("", "job.1", "-", "..", "x" * 64)),
    Kind.MODEL: lambda field, random: random.choice(("mm.safetensors", "a/b.ckpt", "é 😀")),
    Kind.PATH: lambda field, random: random.choice(("", "clips/a.mp4", "C:\\clips")),
    Kind.MOMENT: lambda field, random: random.choice((0, 7, "1.5s", "12")),
    Kind.IMAGE: lambda field, random: base64_png(),
    Kind.CHOICE: lambda field, random: random.choice(field.choices),
    Kind.MULTIVAL: lambda field, random: random.choice((0, 1.5, "0.25", "0: 1, 100%: 0", {"mask": "masks"})),
    Kind.SCHEDULE: lambda field, random: random.choice(("", "0: 1", "0: 7, 100%: 4 hold")),
    Kind.BLOCKS: lambda field, random: random.choice(("", "mid: 0", {"up 3.1": 0.5})),
    Kind.FURTHER_MODEL: lambda field, random: random.choice(("CameraCtrl.ckpt", "../x.ckpt", "a/b")),
    Kind.CAMERA: lambda field, random: random.choice(("pan left", "orbit right 0.5 + roll clockwise", "")),
    Kind.AFFINITY: lambda field, random: random.choice(("small", 3, [1, 0.5], "1, 0.25")),
    Kind.MODULES: lambda field, random: random.choice(("", [], "")),
    Kind.KEYFRAMES: lambda field, random: random.choice(("", [], "0=a.png; 7=b.png")),
    Kind.CHOICES: lambda field, random: random.choices(field.choices, k=random.randrange(1, 5)),
}


def payload(random: Random) -> Any:
    """The arguments of one request, in any of the shapes that clients send, right or wrong."""
    shape, wrong = random.randrange(20), random.choice(SHARES)
    if shape == 0:
        return any_value(random)
    if shape == 1:
        count = random.randrange(len(FIELDS) + 1)
        return [_value(field, random, wrong) for field in FIELDS[:count]] + [None] * random.choice((0, 0, 99))
    if shape == 2:
        return [_object(random, wrong), _object(random, wrong)]
    return _object(random, wrong)


def _object(random: Random, wrong: float) -> dict[Any, Any]:
    names: list[Any] = random.sample(NAMES, random.randrange(8))
    values = {name: _value(FIELD_BY_NAME[name], random, wrong) for name in names}
    if random.random() < wrong:
        values[random.choice(STRANGE_KEYS)] = any_value(random)
    return values


def _value(field: Field, random: Random, wrong: float) -> Any:
    return any_value(random) if random.random() < wrong else good_value(field, random)
