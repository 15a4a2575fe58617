"""What the XYZ plot can vary of an animation, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animatediff_webui.core.errors import ParameterError, shown
from animatediff_webui.core.fields import Value
from animatediff_webui.core.image import decode_image
from animatediff_webui.core.parameters import FIELDS, Field, Kind

from .widgets import IMG2IMG_ONLY

LABEL = "[AnimateDiff] "


@dataclass(frozen=True)
class Axis:
    """One parameter as an axis: its values come as texts, or as numbers, for which the host knows ranges."""

    field: Field

    @property
    def label(self) -> str:
        return LABEL + self.field.label

    @property
    def type(self) -> type[str | int | float]:
        return {Kind.INTEGER: int, Kind.NUMBER: float}.get(self.field.kind, str)

    @property
    def choices(self) -> tuple[str, ...]:
        """What the host offers in a list; empty where any text may be typed."""
        if self.field.kind is Kind.BOOL:
            return ("True", "False")
        return tuple(map(str, self.field.choices)) if self.field.kind is Kind.CHOICE else ()

    @property
    def is_img2img_only(self) -> bool:
        return self.field.name in IMG2IMG_ONLY

    @property
    def cost(self) -> float:
        """How slow a change is: the host varies the slowest in its outermost loop."""
        return 0.5 if self.field.kind is Kind.MODEL else 0.0

    def read(self, value: str | float) -> Value:
        """A checked value. Raises ParameterError."""
        if self.field.kind is Kind.IMAGE:
            return _read_picture(str(value), self.field)
        return self.field.read_text(str(value)) if isinstance(value, str) else self.field.read(value)


def build_axes() -> tuple[Axis, ...]:
    """An axis for every parameter but `enable`, which is every axis's premise."""
    return tuple(Axis(field) for field in FIELDS if field.name != "enable")


def _read_picture(text: str, field: Field) -> Value:
    if text.strip().lower() in ("", "none"):
        return None
    try:
        data = Path(text.strip()).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        raise ParameterError(
            f"{field.name} is {shown(text)}, which cannot be read ({error}): give a picture's path."
        ) from error
    return decode_image(data, field.name)
