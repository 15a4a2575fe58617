"""What a motion module is, by its keys and shapes alone, and whether the checkpoint suits it."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import torch

from motion_module import BaseModel, MotionModuleError, MotionModuleSpec, NotAMotionModuleError
from motion_module.checkpoints import WRAPPERS
from motion_module.loading import FAMILY_NOTE, detect_motion_module
from motion_module.other_kinds import explain

_LENGTH_BYTES = 8
_LARGEST_HEADER = 100 * 2**20
_META = torch.device("meta")


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
            frames = f"{spec.trained_frames} frames at once, {spec.context_limit} at most"
            parts = [f"<b>{escape(spec.family)}</b>", spec.base_model.value, frames, escape(self.place)]
        line = " · ".join(filter(None, parts))
        warning = f'<div class="animatediff-warning">{escape(self.warning)}</div>' if self.warning else ""
        data = f' data-frames="{spec.trained_frames}"' if spec else ""
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
    """The spec of a motion module's file, without reading its weights. Raises NotAMotionModuleError."""
    status = path.stat()
    return _read_spec(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _read_spec(path: Path, modified: int, size: int) -> MotionModuleSpec:
    """`modified` and `size` make it be read again when the file changes."""
    shapes, notes = read_shapes(path)
    tensors = {key: torch.empty(shape, device=_META) for key, shape in shapes.items()}
    spec = detect_motion_module(tensors, path.stem, notes.get(FAMILY_NOTE, ""))
    if spec is None:
        raise NotAMotionModuleError(explain(tensors, path.name))
    return spec


def read_shapes(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Key -> shape of a file's tensors, and a safetensors header's notes. Raises NotAMotionModuleError."""
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES + 1)
    if start[_LENGTH_BYTES:] == b"{":
        return _read_safetensors_shapes(path)
    if not start.startswith((b"PK", b"\x80")):
        raise NotAMotionModuleError(
            f"{path.name} is neither a safetensors nor a PyTorch file: download it again, or choose another."
        )
    try:
        content = torch.load(path, map_location=_META, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise NotAMotionModuleError(f"{path.name} cannot be read as weights: download it again.") from error
    return {key: tuple(tensor.shape) for key, tensor in _tensors(content).items()}, {}


def _read_safetensors_shapes(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """From the JSON header, which is all that is read."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        data = file.read(length) if length <= _LARGEST_HEADER else b""
    try:
        header: dict[str, Any] = json.loads(data)
        notes = header.pop("__metadata__", {})
        return {key: tuple(entry["shape"]) for key, entry in header.items()}, notes
    except (ValueError, KeyError, TypeError) as error:
        raise NotAMotionModuleError(
            f"{path.name} is damaged, as a download that broke off is: download it again."
        ) from error


def _tensors(content: object) -> dict[str, torch.Tensor]:
    """The tensors of a pickle, taken out of what training scripts wrap them in."""
    if not isinstance(content, dict):
        return {}
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            return _tensors(content[wrapper])
    return {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}


def checkpoint_base_model(path: Path) -> BaseModel | None:
    """Which image model a checkpoint's file is, by its UNet's blocks; None where that cannot be told.

    Only safetensors are looked at: another format would have to be read whole.
    """
    if path.suffix.lower() != ".safetensors":
        return None
    try:
        status = path.stat()
        return _checkpoint_base_model(path, status.st_mtime_ns, status.st_size)
    except (OSError, NotAMotionModuleError):
        return None


@lru_cache(maxsize=64)
def _checkpoint_base_model(path: Path, modified: int, size: int) -> BaseModel | None:
    shapes, _ = _read_safetensors_shapes(path)
    blocks = {key.split(".")[3] for key in shapes if key.startswith("model.diffusion_model.input_blocks.")}
    return {12: BaseModel.SD15, 9: BaseModel.SDXL}.get(len(blocks))
