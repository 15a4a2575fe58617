"""The section "AnimateDiff" of the host's settings."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, get_args

from animatediff_webui.core.parameters import FIELD_BY_NAME, Output
from animatediff_webui.hosts.webui.settings import AUTOMATIC, PREFIX
from animatediff_webui.media.options import GifDither, Mp4Preset, Mp4Tune, WriterOptions
from motion_module import BetaSchedule

SECTION = ("animatediff", "AnimateDiff")
_FORMAT = FIELD_BY_NAME["format"]
_WRITER = {each.name: each.default for each in fields(WriterOptions)}


@dataclass(frozen=True)
class Option:
    """One setting; `component` names a gradio class, None leaves the choice to the host."""

    name: str
    default: Any
    label: str
    component: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    info: str = ""


def _writer(name: str, label: str, component: str | None = None, info: str = "", **arguments: Any) -> Option:
    """A setting of the writers, with the default they have. (Any: gradio's arguments.)"""
    return Option(name, _WRITER[name], label, component, arguments, info)


def _slider(name: str, label: str, maximum: int, info: str = "") -> Option:
    return _writer(name, label, "Slider", info, minimum=0, maximum=maximum, step=1)


OPTIONS: tuple[Option, ...] = (
    Option(
        "model_path", "", "Folders with motion modules",
        info='several are separated by ";"; models/AnimateDiff and the extension\'s own model folder are '
        "searched in any case, with their sub-folders",
    ),
    Option(
        "default_save_formats", list(Output().formats), "Default save formats", "CheckboxGroup",
        {"choices": _FORMAT.choices},
        "for requests that name none, and what the page starts with after Reload UI",
    ),
    Option(
        "frames_beside_video", True, "Save PNG frames in a folder beside the video",
        info="off: where the WebUI saves its pictures, under its own names",
    ),
    Option(
        "keep_on_gpu", True, "Keep the motion module on the GPU between runs",
        info="off: it moves to the CPU after each run",
    ),
    Option(
        "moving_preview", True, "Live previews move",
        info="needs PNG or WEBP as the live preview file format; how often they come, and by which method, "
        "is set in the section Live previews (instead of Full, Approx cheap is used)",
    ),
    Option(
        "beta_schedule", AUTOMATIC, "Beta schedule", "Radio",
        {"choices": [AUTOMATIC, *(schedule.value for schedule in BetaSchedule)]},
        "Automatic: the one that the motion module was trained with",
    ),
    _writer("gif_dither", "GIF: dithering", "Radio", "bayer: smaller files", choices=get_args(GifDither)),
    _writer("gif_gifsicle", "GIF: make files smaller with gifsicle, where it is installed"),
    _slider("mp4_crf", "MP4: CRF", 51, "lower is better and larger; 17 looks like the original"),
    _writer("mp4_preset", "MP4: preset", "Dropdown", "slower: smaller files", choices=get_args(Mp4Preset)),
    _writer("mp4_tune", "MP4: tune for", "Dropdown", "empty: nothing", choices=get_args(Mp4Tune)),
    _slider("webm_crf", "WEBM: CRF", 63, "lower is better and larger"),
    _slider("webp_quality", "WEBP: quality", 100),
    _writer("webp_lossless", "WEBP: lossless"),
    _slider("avif_quality", "AVIF: quality", 100),
    _slider("png_compression", "PNG and APNG: compression", 9, "lossless; higher: smaller, slower"),
    Option(
        "s3_enable", False, "Upload finished files to S3",
        info="needs the package boto3; credentials come from the AWS environment variables or profile",
    ),
    Option("s3_bucket", "", "S3: bucket"),
    Option("s3_endpoint", "", "S3: endpoint", info="empty: Amazon's"),
    Option("s3_folder", "", "S3: folder in the bucket", info="holds a folder for each day"),
)  # fmt: skip


def on_ui_settings() -> None:
    """Add the section to the host's settings."""
    import gradio
    from modules import shared

    for option in OPTIONS:
        component = getattr(gradio, option.component) if option.component else None
        arguments = {name: _listed(value) for name, value in option.arguments.items()}
        info = shared.OptionInfo(option.default, option.label, component, arguments or None, section=SECTION)
        shared.opts.add_option(PREFIX + option.name, info.info(option.info) if option.info else info)


def _listed(value: Any) -> Any:
    """gradio changes the list of choices it is given, so that it gets one of its own."""
    return list(value) if isinstance(value, (list, tuple)) else value
