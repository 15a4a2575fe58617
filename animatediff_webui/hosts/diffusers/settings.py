"""What a caller asks for, by name: the image settings and the animation's parameters, taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from animatediff_webui.core.errors import ParameterError, shown, shown_text
from animatediff_webui.core.parameters import (
    FIELD_BY_NAME,
    FIELDS,
    Kind,
    Parameters,
    parse_parameters,
)

from .guides.settings import NETWORKS
from .image_settings import IMAGE_FIELDS, ImageKeywords, ImageSettings
from .keywords import as_path, nearest, plain_number
from .pictures import read_picture_value

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from .guides.settings import ControlNet, IpAdapter, SparseCtrl

DEFAULT_FORMATS = ("GIF", "MP4")
DEFAULTS = parse_parameters({"enable": True, "format": DEFAULT_FORMATS})
ELSEWHERE = ("enable", "model", "keyframes")
"""Parameters that say nothing here: whether it is on, and which of a WebUI's motion modules it takes; a
network that steers a clip has pictures of its own."""

GUIDES = tuple(kind.keyword for kind in NETWORKS)
"""Names of what is neither picture nor animation."""


class AnimationKeywords(TypedDict, total=False):
    """The animation's parameters as keywords, by API name."""

    format: str | Sequence[str]
    video_length: int
    fps: float | None
    loop_number: int
    closed_loop: str
    batch_size: int | None
    context_schedule: str | None
    stride: int
    overlap: int
    interp: str
    interp_x: int
    video_source: Path | str | None
    video_path: Path | str | None
    mask_path: Path | str | None
    reverse: int | Sequence[int]
    latent_power: float
    latent_scale: float
    last_frame: Path | str | Image.Image | None
    latent_power_last: float
    latent_scale_last: float
    freeinit_enable: bool
    freeinit_filter: str
    freeinit_ds: float
    freeinit_dt: float
    freeinit_iters: int
    request_id: str
    context_scheduler: str
    context_fuse: str
    prompt_blend: str
    prompt_easing: str
    freenoise: bool
    freeinit_fast: bool
    video_start: int | str
    video_end: int | str | None
    video_stride: int
    audio: bool
    motion_scale: object
    motion_effect: object
    effect_schedule: str | None
    motion_blocks: object
    modules: object
    view_length: int
    view_overlap: int
    noise_type: str
    noise_weight: object
    noise_offset: int
    cfg_schedule: str | None
    motion_picture: Path | str | Image.Image | None
    affinity: str | int | Sequence[float]
    reference: float
    reference_end: float
    camera_model: str | None
    camera_motion: str
    camera_poses: Path | str | None
    window_batch: int


class GuideKeywords(TypedDict, total=False):
    """What steers a clip beside its prompts: one of each kind, or several; a text is as on the command line,
    `FILE:WEIGHT:START-END`."""

    controlnet: ControlNet | Path | str | Sequence[ControlNet | Path | str] | None
    sparsectrl: SparseCtrl | Sequence[SparseCtrl] | None
    ip_adapter: IpAdapter | Sequence[IpAdapter] | None


class ClipKeywords(ImageKeywords, AnimationKeywords, GuideKeywords, total=False):
    """Everything that a clip can be asked to be."""


def read_prompt(prompt: object) -> str:
    """A prompt as it is. ParameterError where it is none, or empty."""
    if not isinstance(prompt, str):
        raise ParameterError(f"The prompt is {shown(prompt)}, but must be a text.")
    if not prompt.strip():
        raise ParameterError('The prompt is empty: say what to draw, such as "a red circle moving right".')
    check_text("prompt", prompt)
    return prompt


def read_settings(
    values: Mapping[str, object], image: ImageSettings, animation: Parameters = DEFAULTS
) -> tuple[ImageSettings, Parameters]:
    """The settings with `values`, by name, in place of what they are; None leaves one as it is.

    Raises ParameterError for a name that neither has, and for a value that is not allowed.
    """
    image_names = {row.name for row in IMAGE_FIELDS}
    for name in values:
        if name not in image_names and name not in FIELD_BY_NAME and name not in GUIDES:
            raise ParameterError(_unknown(name))
    settings = image.replaced({name: value for name, value in values.items() if name in image_names})
    check_text("negative_prompt", settings.negative_prompt)
    others = {name: _plain(name, value) for name, value in values.items() if name in FIELD_BY_NAME}
    return settings, read_parameters(others, animation)


def _plain(name: str, value: object) -> object:
    """A parameter's value without what only Python callers send: other libraries' numbers, and paths."""
    field = FIELD_BY_NAME[name]
    path = as_path(value)
    if field.kind is Kind.PATH and path is not None and not isinstance(value, str):
        return str(path)
    return read_picture_value(field, plain_number(value))


def read_parameters(values: Mapping[str, object], defaults: Parameters = DEFAULTS) -> Parameters:
    """The animation's parameters. Raises ParameterError, also for those that do not work here."""
    parameters = parse_parameters(dict(values), defaults=defaults)
    if not parameters.enable:
        raise ParameterError("enable is False, but this makes nothing but animations: leave it out.")
    if parameters.model is not None:
        raise ParameterError(
            f"model is {parameters.model!r}, but the motion module is loaded once, with the checkpoint: give "
            "it as motion_module to Animator."
        )
    if parameters.source.keyframes.keyframes:
        raise ParameterError(
            "keyframes are for a WebUI's ControlNet units: give SparseCtrl its keyframes, and IpAdapter its "
            "images."
        )
    return parameters


def read_image_settings(image: object, defaults: Mapping[str, object]) -> ImageSettings:
    """Ready-made image settings, or `defaults` where there are none."""
    if image is None:
        return ImageSettings().replaced(defaults)
    if not isinstance(image, ImageSettings):
        raise ParameterError(f"image is {shown(image)}, but must be ImageSettings.")
    return image


def read_animation(animation: object) -> Parameters:
    """Ready-made parameters, or this host's defaults where there are none."""
    if animation is None:
        return DEFAULTS
    if not isinstance(animation, Parameters):
        raise ParameterError(f"animation is {shown(animation)}, but must be Parameters.")
    return replace(animation, enable=True)


def check_text(name: str, text: str) -> None:
    """Raise ParameterError where a text holds what is none, such as bytes of another encoding."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ParameterError(
            f"The {name.replace('_', ' ')} holds bytes that are no text, at character {error.start + 1}: "
            "send it as UTF-8."
        ) from error


def _unknown(name: str) -> str:
    """Why a name is refused: the nearest one, and all there are."""
    image_names = [row.name for row in IMAGE_FIELDS]
    animation_names = [row.name for row in FIELDS if row.name not in ELSEWHERE]
    hint = nearest(name, [*image_names, *FIELD_BY_NAME, *GUIDES])
    return (
        f"{shown_text(name)} is no setting{hint}: there are {', '.join(image_names)} for the picture, "
        f"{', '.join(animation_names)} for the animation, and {', '.join(GUIDES)} for what steers it."
    )
