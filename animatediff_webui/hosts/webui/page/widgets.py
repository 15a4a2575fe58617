"""What the accordion holds, as data: which widget stands for which parameter, and where it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import cast

from animatediff_webui.core.fields import Value
from animatediff_webui.core.parameters import FIELDS, Field, Kind, Parameters, to_api

PREFIX = "animatediff"
"""Every element's id starts with it, and so do the script's and the style sheet's names."""
_RADIO_LETTERS = 36
_SLIDER_SPAN = 10
_KEYFRAME_LINES = 2
"""One for each keyframe; the box grows with them."""


class WidgetKind(Enum):
    """The gradio components in use."""

    CHECKBOX = "Checkbox"
    NUMBER = "Number"
    SLIDER = "Slider"
    RADIO = "Radio"
    DROPDOWN = "Dropdown"
    MULTISELECT = "Multiselect"
    TEXTBOX = "Textbox"
    IMAGE = "Image"


@dataclass(frozen=True)
class Widget:
    """One parameter on the page. `choices` are texts: gradio and ui-config.json compare them as such.

    `info` is a line below it, `tooltip` what else there is to know. `zero_is_empty`: gradio 3 shows 0 where a
    number is empty, so that 0 stands for the default. `lines` are those of a text box.
    """

    name: str
    kind: WidgetKind
    label: str
    info: str
    tooltip: str
    value: Value | list[str]
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    zero_is_empty: bool = False
    lines: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether a number has no decimals."""
        return self.step == 1


@dataclass(frozen=True)
class Group:
    """Rows of parameters with a heading that folds; without one they are always seen."""

    title: str | None
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    img2img_only: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for row in self.rows for name in row)


PROMPT_TRAVEL_NOTE = (
    "Put keyframes into the prompt, one a line: a frame number, a colon, a text. "
    "Lines above them go before every keyframe's text, lines below them after it. "
    "<pre>a cat in the garden\n0: spring, blossom\n8: autumn, falling leaves\nhigh quality</pre>"
    "Instead of a frame: 50% of the clip, or 1.5s. The negative prompt can change in the same way."
)
MOTION_NOTE = (
    "A number; or one that changes over the clip: <code>0: 1, 50%: 0.4 hold, 3s: 1.2</code>; or a mask: the "
    "path of a picture, or of a folder or video with one a frame, <code>left.png [0.2, 1.5]</code> with what "
    "black and white mean; or several, with <code> * </code> between them."
)
FIRST_FRAME_NOTE = "The first frame is the picture in this tab."
KEYFRAMES_NOTE = (
    "Choose a SparseCtrl or an IP-Adapter in a ControlNet unit, and leave the unit's own picture empty. "
    "Uploaded pictures are spread over the clip: change the frames' numbers in the text as you like."
)

LAYOUT: tuple[Group, ...] = (
    Group(
        None, (("enable",), ("model",), ("format",), ("video_length", "fps", "loop_number"), ("closed_loop",))
    ),
    Group(
        "First and last frame",
        (("latent_power", "latent_scale"), ("last_frame",), ("latent_power_last", "latent_scale_last")),
        note=FIRST_FRAME_NOTE,
        img2img_only=True,
    ),
    Group(
        "Longer clips: context windows",
        (
            ("batch_size", "overlap", "stride"),
            ("context_schedule",),
            ("context_scheduler", "context_fuse", "window_batch"),
            ("freenoise",),
        ),
    ),
    Group("Prompt travel", (("prompt_blend", "prompt_easing"),), note=PROMPT_TRAVEL_NOTE),
    Group(
        "FreeInit",
        (
            ("freeinit_enable", "freeinit_fast"),
            ("freeinit_filter", "freeinit_iters"),
            ("freeinit_ds", "freeinit_dt"),
        ),
    ),
    Group(
        "Motion",
        (
            ("motion_scale", "motion_effect"),
            ("effect_schedule", "cfg_schedule"),
            ("motion_blocks", "modules"),
            ("view_length", "view_overlap"),
            ("noise_type", "noise_weight", "noise_offset"),
            ("reference", "reference_end"),
            ("motion_picture", "affinity"),
            ("camera_model", "camera_motion", "camera_poses"),
        ),
        note=MOTION_NOTE,
    ),
    Group("Playing and file names", (("reverse", "request_id"), ("interp", "interp_x"))),
    Group(
        "Video source",
        (
            ("video_source",),
            ("video_path", "mask_path"),
            ("video_start", "video_end", "video_stride"),
            ("audio",),
        ),
    ),
    Group("Keyframe images", (("keyframes",),), note=KEYFRAMES_NOTE),
)
IMG2IMG_ONLY = frozenset(name for group in LAYOUT if group.img2img_only for name in group.names)
"""Parameters that mean nothing in txt2img."""


def build_widgets(modules: Iterable[str] = (), defaults: Parameters | None = None) -> tuple[Widget, ...]:
    """One widget for each row of the parameter table, in its order.

    `modules` is the motion module list, `defaults` what Settings say.
    """
    values, listed = to_api(defaults or Parameters()), list(modules)
    return tuple(_build_widget(field, values[field.name], listed) for field in FIELDS)


def _build_widget(field: Field, value: object, modules: list[str]) -> Widget:
    """`value` is the default as JSON has it."""
    kind = _widget_kind(field)
    is_number = kind in (WidgetKind.NUMBER, WidgetKind.SLIDER)
    zero_is_empty = is_number and field.default is None
    return Widget(
        field.name,
        kind,
        field.label,
        _info(field, zero_is_empty),
        _shown_help(field.details, zero_is_empty),
        _first_value(kind, field, value, modules),
        minimum=field.minimum if field.above is None else 0,
        maximum=field.maximum,
        step=1 if field.kind is Kind.INTEGER else 0.01,
        choices=tuple(modules if field.kind is Kind.MODEL else map(str, field.choices)),
        zero_is_empty=zero_is_empty,
        lines=_KEYFRAME_LINES if field.kind is Kind.KEYFRAMES else 1,
    )


def _first_value(kind: WidgetKind, field: Field, value: object, modules: list[str]) -> Value | list[str]:
    """What the widget holds when the page is opened."""
    if kind is WidgetKind.MULTISELECT:
        choices = cast("list[object]", value) if isinstance(value, list) else []
        return [str(choice) for choice in choices]
    if field.kind is Kind.MODEL:
        return str(value) if value else next(iter(modules), None)
    if field.kind in WRITTEN:
        return written_text(value)
    return "" if kind is WidgetKind.TEXTBOX and not value else cast("Value", value)


def _info(field: Field, zero_is_empty: bool) -> str:
    """The line below a widget; the motion module has one of its own."""
    if field.kind is Kind.MODEL:
        return ""
    return _shown_help(field.help, zero_is_empty)


def _shown_help(text: str, zero_is_empty: bool) -> str:
    return text.replace("Empty:", "0:") if zero_is_empty else text


def _widget_kind(field: Field) -> WidgetKind:
    if field.kind in (Kind.INTEGER, Kind.NUMBER):
        if field.minimum is None or field.maximum is None:
            return WidgetKind.NUMBER
        is_narrow = field.maximum - field.minimum <= _SLIDER_SPAN
        return WidgetKind.SLIDER if is_narrow else WidgetKind.NUMBER
    if field.kind is Kind.CHOICE:
        letters = sum(len(str(choice)) for choice in field.choices)
        return WidgetKind.RADIO if letters <= _RADIO_LETTERS else WidgetKind.DROPDOWN
    return _WIDGET_KINDS[field.kind]


def written_text(value: object) -> str:
    """What a text box holds of a value that is written in a small language, of its JSON form."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False) if value not in ([], {}) else ""


WRITTEN = frozenset(
    {
        Kind.MULTIVAL, Kind.SCHEDULE, Kind.BLOCKS, Kind.MODULES, Kind.AFFINITY, Kind.CAMERA, Kind.KEYFRAMES,
    }
)  # fmt: skip
"""Kinds whose values are written in a small language."""
_WIDGET_KINDS = {
    Kind.BOOL: WidgetKind.CHECKBOX,
    Kind.MODEL: WidgetKind.DROPDOWN,
    Kind.CHOICES: WidgetKind.MULTISELECT,
    Kind.FURTHER_MODEL: WidgetKind.TEXTBOX,
    Kind.TEXT: WidgetKind.TEXTBOX,
    Kind.PATH: WidgetKind.TEXTBOX,
    Kind.MOMENT: WidgetKind.TEXTBOX,
    Kind.IMAGE: WidgetKind.IMAGE,
    **dict.fromkeys(WRITTEN, WidgetKind.TEXTBOX),
}
