"""What a motion module is, by its keys and shapes alone, and whether the checkpoint suits it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from motion_module.errors import MotionModuleError
from motion_module.inspection import inspect_file
from motion_module.spec import BaseModel, MotionModuleSpec


@dataclass(frozen=True)
class ModuleInfo:
    """A line about a motion module; `warning` says why it will not run."""

    name: str
    spec: MotionModuleSpec | None
    warning: str = ""
    place: str = ""

    def to_html(self) -> str:
        """The line as the page shows it; `data-frames` is what an empty context batch size means."""
        spec = self.spec
        parts: list[str] = []
        if spec is not None:
            frames = f"{spec.context_length} frames at once, {spec.max_context_length} at most"
            parts = [f"<b>{escape(spec.family)}</b>", spec.base_model.value, frames, escape(self.place)]
        line = " · ".join(filter(None, parts))
        warning = f'<div class="animatediff-warning">{escape(self.warning)}</div>' if self.warning else ""
        data = f' data-frames="{spec.context_length}"' if spec else ""
        return f'<div class="animatediff-module"{data}>{line}{warning}</div>'


def describe_module(
    name: str, path: Path, checkpoint: BaseModel | None = None, place: str = ""
) -> ModuleInfo:
    """What the file at `path` is; with a warning where it is none, or does not fit the checkpoint."""
    try:
        spec = read_spec(path)
    except (MotionModuleError, OSError) as error:
        return ModuleInfo(name, None, str(error))
    return ModuleInfo(name, spec, fit_warning(spec, checkpoint), place)


def fit_warning(spec: MotionModuleSpec, checkpoint: BaseModel | None) -> str:
    """Why a motion module cannot animate a checkpoint, or nothing; None is a checkpoint of unknown kind."""
    if checkpoint is None or checkpoint is spec.base_model:
        return ""
    return (
        f"This motion module is for {spec.base_model.value}, but the checkpoint is {checkpoint.value}: "
        "choose another of the two."
    )


def read_spec(path: Path) -> MotionModuleSpec:
    """The spec of a motion module's file, by its keys and shapes. Raises MotionModuleError and OSError."""
    status = path.stat()
    return _read_spec(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _read_spec(path: Path, modified: int, size: int) -> MotionModuleSpec:
    """`modified` and `size` make it be read again when the file changes."""
    return inspect_file(path).read_spec()


def checkpoint_base_model(path: Path) -> BaseModel | None:
    """Which image model a checkpoint's file is; None where that cannot be told.

    Only safetensors are looked at: of other formats, old ones would have to be read whole.
    """
    if path.suffix.lower() != ".safetensors":
        return None
    try:
        status = path.stat()
        return _checkpoint_base_model(path, status.st_mtime_ns, status.st_size)
    except (OSError, MotionModuleError):
        return None


@lru_cache(maxsize=64)
def _checkpoint_base_model(path: Path, modified: int, size: int) -> BaseModel | None:
    """`modified` and `size` make it be read again when the file changes."""
    return inspect_file(path).base_model
