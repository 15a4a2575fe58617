"""Weights from disk: safetensors, or pickles restricted to tensors; told apart by content, not by name."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from motion_module.errors import MotionModuleError, NotAMotionModuleError

WRAPPERS = ("state_dict", "module", "model", "unet")
"""Where training scripts put the weights, beside the step and the like."""


@dataclass(frozen=True)
class Checkpoint:
    """A file's tensors by key, and the header's notes of a safetensors file."""

    tensors: dict[str, Tensor]
    metadata: Mapping[str, str]


def read_checkpoint(path: Path) -> Checkpoint:
    """All tensors of a file, on the CPU; MotionModuleError where there is none that can be read."""
    if not path.is_file():
        raise MotionModuleError(f"There is no file {path}: check the name and the folder.")
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":
        return _read_safetensors(path)
    if start.startswith((b"PK", b"\x80")):
        return Checkpoint(_flatten(_read_pickle(path)), {})
    raise NotAMotionModuleError(
        f"{path.name} is neither a safetensors nor a PyTorch file (its start: {start!r}): download it again."
    )


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        opened: Any = safe_open(path, framework="pt")  # safetensors does not publish its type
        with opened as file:
            keys: list[str] = file.keys()
            return Checkpoint({key: file.get_tensor(key) for key in keys}, file.metadata() or {})
    except SafetensorError as error:
        raise NotAMotionModuleError(
            f"{path.name} is damaged, as a download that broke off is ({error}): download it again."
        ) from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise NotAMotionModuleError(
            f"{path.name} holds more than tensors, and could run programs: get a safetensors version."
        ) from error
    except (RuntimeError, EOFError) as error:
        raise NotAMotionModuleError(
            f"{path.name} is damaged, as a download that broke off is ({error}): download it again."
        ) from error


def _flatten(content: Any) -> dict[str, Tensor]:
    """The tensors of a pickle, taken out of what wraps them."""
    if not isinstance(content, Mapping):
        return {}
    mapping = cast("Mapping[Any, Any]", content)
    for wrapper in WRAPPERS:
        if isinstance(mapping.get(wrapper), Mapping):
            return _flatten(mapping[wrapper])
    return {str(key): value for key, value in mapping.items() if isinstance(value, Tensor)}
