"""The WebUI's settings of this extension: one table, which its page shows and every request reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, Literal, TypeAlias, TypeVar, cast

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import FIELD_BY_NAME, Output, Parameters, parse_parameters
from animatediff_webui.media.options import BOUNDS, CHOICES, WriterOptions
from motion_module.schedules import BetaSchedule

PREFIX = "animatediff_"
AUTOMATIC = "Automatic"
T = TypeVar("T")
Component: TypeAlias = Literal["Checkbox", "CheckboxGroup", "Dropdown", "Radio", "Slider", "Textbox"]


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One row: `component` is the gradio class that shows it, None leaves the choice to the host."""

    name: str
    default: T
    label: str
    help: str = ""
    component: Component | None = None
    choices: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None

    def of(self, opts: object) -> T:
        """Its value in the host's settings, or its default where the host does not know it."""
        value: object = getattr(opts, PREFIX + self.name, None)
        if value is None:
            return self.default
        if isinstance(value, float):  # a slider's
            value = int(value)
        return cast("T", value)


def _writer_setting(
    name: str, label: str, help: str = "", component: Component | None = None
) -> Setting[object]:
    """A setting of the writers, with the default and the bounds they have."""
    default = next(field.default for field in fields(WriterOptions) if field.name == name)
    bounds = BOUNDS.get(name)
    kind = "Slider" if bounds else component
    return Setting(name, cast("object", default), label, help, kind, CHOICES.get(name, ()), bounds)


MODEL_PATH = Setting(
    "model_path", "", "Folders with motion modules",
    'several are separated by ";"; models/AnimateDiff and the extension\'s own model folder are searched in '
    "any case, with their sub-folders",
)  # fmt: skip
SAVE_FORMATS = Setting(
    "default_save_formats", list(Output().formats), "Default save formats",
    "for requests that name none, and what the page starts with after Reload UI",
    "CheckboxGroup", tuple(map(str, FIELD_BY_NAME["format"].choices)),
)  # fmt: skip
FRAMES_BESIDE_VIDEO = Setting(
    "frames_beside_video", True, "Save PNG frames in a folder beside the video",
    "off: where the WebUI saves its pictures, under its own names",
)  # fmt: skip
KEEP_ON_GPU = Setting(
    "keep_on_gpu", True, "Keep the motion module on the GPU between runs",
    "off: it moves to the CPU after each run",
)  # fmt: skip
MOVING_PREVIEW = Setting(
    "moving_preview", True, "Live previews move",
    "needs PNG or WEBP as the live preview file format; how often they come, and by which method, is set in "
    "the section Live previews (instead of Full, Approx cheap is used)",
)  # fmt: skip
BETA_SCHEDULE = Setting(
    "beta_schedule", AUTOMATIC, "Beta schedule",
    "Automatic: the one that the motion module was trained with",
    "Radio", (AUTOMATIC, *(schedule.value for schedule in BetaSchedule)),
)  # fmt: skip
WRITER_SETTINGS = (
    _writer_setting("gif_dither", "GIF: dithering", "bayer: smaller files", "Radio"),
    _writer_setting("gif_gifsicle", "GIF: make files smaller with gifsicle, where it is installed"),
    _writer_setting("mp4_crf", "MP4: CRF", "lower is better and larger; 17 looks like the original"),
    _writer_setting("mp4_preset", "MP4: preset", "slower: smaller files", "Dropdown"),
    _writer_setting("mp4_tune", "MP4: tune for", "empty: nothing", "Dropdown"),
    _writer_setting("webm_crf", "WEBM: CRF", "lower is better and larger"),
    _writer_setting("webp_quality", "WEBP: quality"),
    _writer_setting("webp_lossless", "WEBP: lossless"),
    _writer_setting("avif_quality", "AVIF: quality"),
    _writer_setting("png_compression", "PNG and APNG: compression", "lossless; higher: smaller, slower"),
)
INTERPOLATION_PATH = Setting(
    "interp_path", "", "Folder with networks for frame interpolation",
    "film_net_fp32.pt for FILM, a folder such as rife-v4.6 for RIFE; empty: models/FrameInterpolation",
)  # fmt: skip
S3_ENABLE = Setting(
    "s3_enable", False, "Upload finished files to S3",
    "needs the package boto3; credentials come from the AWS environment variables or profile",
)  # fmt: skip
S3_BUCKET = Setting("s3_bucket", "", "S3: bucket")
S3_ENDPOINT = Setting("s3_endpoint", "", "S3: endpoint", "empty: Amazon's")
S3_FOLDER = Setting("s3_folder", "", "S3: folder in the bucket", "holds a folder for each day")

AnySetting: TypeAlias = "Setting[str] | Setting[bool] | Setting[list[str]] | Setting[object]"
SETTINGS: tuple[AnySetting, ...] = (
    MODEL_PATH, SAVE_FORMATS, FRAMES_BESIDE_VIDEO, KEEP_ON_GPU, MOVING_PREVIEW, BETA_SCHEDULE,
    *WRITER_SETTINGS, INTERPOLATION_PATH, S3_ENABLE, S3_BUCKET, S3_ENDPOINT, S3_FOLDER,
)  # fmt: skip
"""In the order of the page."""


@dataclass(frozen=True)
class UploadSettings:
    """Where finished files go; credentials come from the standard AWS environment or profile."""

    bucket: str
    endpoint: str | None
    folder: str


@dataclass(frozen=True)
class Settings:
    """What Settings -> AnimateDiff says. `beta_schedule` is None for the motion module's own,
    `interpolation_folder` for the host's."""

    model_folders: tuple[Path, ...]
    formats: tuple[str, ...]
    frames_beside_video: bool
    beta_schedule: BetaSchedule | None
    keep_on_gpu: bool
    moving_preview: bool
    writer: WriterOptions
    interpolation_folder: Path | None
    upload: UploadSettings | None

    def defaults(self) -> Parameters:
        """The parameters of a request that says nothing."""
        return parse_parameters({"format": list(self.formats)} if self.formats else {})


def read_settings(opts: object = None) -> Settings:
    """The settings in the host's `opts`; without any, the defaults. Raises UserError for a wrong one."""
    writer = cast("dict[str, bool]", {row.name: row.of(opts) for row in WRITER_SETTINGS})
    return Settings(
        model_folders=tuple(_read_folders(MODEL_PATH.of(opts))),
        formats=tuple(SAVE_FORMATS.of(opts)),
        frames_beside_video=bool(FRAMES_BESIDE_VIDEO.of(opts)),
        beta_schedule=_read_schedule(BETA_SCHEDULE.of(opts)),
        keep_on_gpu=bool(KEEP_ON_GPU.of(opts)),
        moving_preview=bool(MOVING_PREVIEW.of(opts)),
        writer=WriterOptions(**writer),  # pyright: ignore[reportArgumentType]: it checks what it is given
        interpolation_folder=next(iter(_read_folders(INTERPOLATION_PATH.of(opts))), None),
        upload=_read_upload(opts),
    )


def _read_folders(text: str) -> Iterable[Path]:
    parts = map(str.strip, re.split(r"[;\n]", text))
    return (Path(part) for part in parts if part)


def _read_schedule(name: str) -> BetaSchedule | None:
    if name == AUTOMATIC:
        return None
    try:
        return BetaSchedule(name)
    except ValueError:
        raise UserError(
            f"The setting for the beta schedule is {name!r}, but must be one of "
            f"{', '.join(BETA_SCHEDULE.choices)}."
        ) from None


def _read_upload(opts: object) -> UploadSettings | None:
    bucket = S3_BUCKET.of(opts).strip()
    if not S3_ENABLE.of(opts) or not bucket:
        return None
    return UploadSettings(bucket, S3_ENDPOINT.of(opts).strip() or None, S3_FOLDER.of(opts).strip("/ "))
