"""What one picture is asked to be, by the WebUI's names: one table, and the object that it checks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypedDict, cast

from animatediff_webui.core.fields import Field, Kind, Value
from animatediff_webui.core.steps import DEFAULT_STEPS

from .keywords import plain_number
from .pictures import read_picture_value
from .samplers import DEFAULT_SAMPLER, SAMPLERS, SCHEDULE_TYPES, find_sampler

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

MAX_DRAWN_SEED = 2**32 - 1
GROUP = "Picture"
DEFAULT_STRENGTH = 0.75


class ImageKeywords(TypedDict, total=False):
    """The image settings as keywords."""

    negative_prompt: str
    steps: int
    cfg_scale: float
    sampler_name: str
    scheduler: str
    seed: int
    width: int | None
    height: int | None
    clip_skip: int
    init_image: Image.Image | Path | str | None
    denoising_strength: float | None


@dataclass(frozen=True)
class ImageSettings:
    """`seed` -1 draws one; `width` and `height` None are the checkpoint's own; `clip_skip` counts like the
    WebUI's, 1 being the last layer. Raises ParameterError for what is not allowed."""

    negative_prompt: str = ""
    steps: int = DEFAULT_STEPS
    cfg_scale: float = 7.0
    sampler_name: str = DEFAULT_SAMPLER
    scheduler: str = "Automatic"
    seed: int = -1
    width: int | None = None
    height: int | None = None
    clip_skip: int = 1
    init_image: Image.Image | None = None
    denoising_strength: float | None = None

    def __post_init__(self) -> None:
        for row in IMAGE_FIELDS:
            given: object = getattr(self, row.name)
            checked = row.read(read_picture_value(row, plain_number(given)))
            object.__setattr__(self, row.name, checked)  # frozen, and 20.0 steps are 20
        find_sampler(self.sampler_name, self.scheduler)

    @property
    def drawn_seed(self) -> int:
        """The seed to use: a new one each time where none was chosen."""
        return secrets.randbelow(MAX_DRAWN_SEED) if self.seed == -1 else self.seed

    @property
    def strength(self) -> float:
        """How far a clip that starts from pictures goes back towards noise."""
        return DEFAULT_STRENGTH if self.denoising_strength is None else self.denoising_strength

    def replaced(self, values: Mapping[str, object]) -> ImageSettings:
        """These settings with others in place of some; None leaves one as it is."""
        given = {name: value for name, value in values.items() if value is not None}
        current = {row.name: getattr(self, row.name) for row in IMAGE_FIELDS}
        return ImageSettings(**cast("dict[str, Any]", current | given))  # Any: each value is checked


_DEFAULTS = {field.name: cast("Value", field.default) for field in fields(ImageSettings)}
_SIDE_HELP = "In pixels. Empty: the checkpoint's own."


def _row(
    name: str, label: str, kind: Kind, help: str, *,
    minimum: int | None = None, maximum: int | None = None, multiple_of: int = 1,
    choices: tuple[str, ...] = (),
) -> Field:  # fmt: skip
    """A field whose default is what the dataclass says; `label` is what infotexts call it."""
    return Field(
        name, name, label, kind, GROUP, help, default=_DEFAULTS[name],
        minimum=minimum, maximum=maximum, multiple_of=multiple_of, choices=choices,
    )  # fmt: skip


IMAGE_FIELDS: tuple[Field, ...] = (
    _row("negative_prompt", "Negative prompt", Kind.TEXT, "What not to draw; it may travel, too."),
    _row("steps", "Steps", Kind.INTEGER, "Sampling steps.", minimum=1, maximum=1000),
    _row("cfg_scale", "CFG scale", Kind.NUMBER, "How strictly to follow the prompt.", minimum=0, maximum=100),
    _row(
        "sampler_name", "Sampler", Kind.TEXT,
        f"{', '.join(SAMPLERS)}. A noise schedule may follow, as in \"DPM++ 2M Karras\".",
    ),
    _row(
        "scheduler", "Schedule type", Kind.CHOICE, "How noise levels are spread over the steps.",
        choices=tuple(SCHEDULE_TYPES),
    ),
    _row(
        "seed", "Seed", Kind.INTEGER, "The same seed gives the same clip. -1: a new one.",
        minimum=-1, maximum=2**63 - 1,
    ),
    _row("width", "Width", Kind.INTEGER, _SIDE_HELP, minimum=16, maximum=8192, multiple_of=8),
    _row("height", "Height", Kind.INTEGER, _SIDE_HELP, minimum=16, maximum=8192, multiple_of=8),
    _row(
        "clip_skip", "Clip skip", Kind.INTEGER,
        "Which of the text encoder's layers is listened to, counted from the end. 1: the last.",
        minimum=1, maximum=12,
    ),
    _row("init_image", "Init image", Kind.IMAGE, "A picture to begin with."),
    _row(
        "denoising_strength", "Denoising strength", Kind.NUMBER,
        "How much of a source's frames, or of the picture to begin with, is drawn anew. 0: nothing. 1: all. "
        f"Empty: {DEFAULT_STRENGTH}.",
        minimum=0, maximum=1,
    ),
)  # fmt: skip
