"""The WebUI's settings of this extension, read once per request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import Parameters, parse_parameters
from animatediff_webui.media import WriterOptions
from motion_module import BetaSchedule

PREFIX = "animatediff_"
AUTOMATIC = "Automatic"


@dataclass(frozen=True)
class UploadSettings:
    """Where finished files go; credentials come from the standard AWS environment or profile."""

    bucket: str
    endpoint: str | None
    folder: str


@dataclass(frozen=True)
class Settings:
    """What Settings -> AnimateDiff says. `beta_schedule` is None for the motion module's own."""

    model_folders: tuple[Path, ...] = ()
    formats: tuple[str, ...] = ()
    frames_beside_video: bool = True
    beta_schedule: BetaSchedule | None = None
    keep_on_gpu: bool = True
    moving_preview: bool = True
    writer: WriterOptions = field(default_factory=WriterOptions)
    upload: UploadSettings | None = None

    def defaults(self) -> Parameters:
        """The parameters of a request that says nothing."""
        return parse_parameters({"format": list(self.formats)} if self.formats else {})


def read_settings(opts: Any) -> Settings:
    """The settings in the host's `opts`, each at its default where the host does not know it.

    Raises UserError where one cannot be used. (Any: the host's object.)
    """

    def option(name: str, default: Any) -> Any:
        value = getattr(opts, PREFIX + name, None)
        return default if value is None else value

    writer = {each.name: option(each.name, each.default) for each in fields(WriterOptions)}
    whole: dict[str, Any] = {
        name: int(value) for name, value in writer.items() if isinstance(value, float)
    }  # sliders
    return Settings(
        model_folders=_folders(option("model_path", "")),
        formats=tuple(option("default_save_formats", ())),
        frames_beside_video=bool(option("frames_beside_video", True)),
        beta_schedule=_schedule(option("beta_schedule", AUTOMATIC)),
        keep_on_gpu=bool(option("keep_on_gpu", True)),
        moving_preview=bool(option("moving_preview", True)),
        writer=WriterOptions(**(writer | whole)),
        upload=_upload(option),
    )


def _folders(text: str) -> tuple[Path, ...]:
    return tuple(Path(part.strip()) for part in re.split(r"[;\n]", text) if part.strip())


def _schedule(name: str) -> BetaSchedule | None:
    if name == AUTOMATIC:
        return None
    try:
        return BetaSchedule(name)
    except ValueError:
        known: Sequence[str] = [AUTOMATIC, *(schedule.value for schedule in BetaSchedule)]
        raise UserError(
            f"The setting for the beta schedule is {name!r}, but must be one of {', '.join(known)}."
        ) from None


def _upload(option: Any) -> UploadSettings | None:
    bucket = str(option("s3_bucket", "")).strip()
    if not option("s3_enable", False) or not bucket:
        return None
    return UploadSettings(
        bucket, str(option("s3_endpoint", "")).strip() or None, str(option("s3_folder", "")).strip("/ ")
    )
