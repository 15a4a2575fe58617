"""From a motion module to a file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]: half typed

from motion_module.errors import MotionModuleError, shorten
from motion_module.families import FAMILY_NOTE
from motion_module.module import MotionModule
from motion_module.names import OFFICIAL, Naming, from_official
from motion_module.weight_values import detect_dtype


def write_motion_module(
    module: MotionModule, path: Path, *, naming: Naming = OFFICIAL, dtype: torch.dtype | None = None
) -> None:
    """Write the module's weights as safetensors, in its own dtype unless one is given.

    The file takes its name when it is complete. MotionModuleError where it cannot be written.
    """
    weights = from_official(module.state_dict(), naming)
    dtype = dtype or detect_dtype(weights.values())
    tensors = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in weights.items()}
    unfinished = path.with_name(f"{path.name}.part")
    try:
        save_file(tensors, unfinished, {"format": "pt", FAMILY_NOTE: module.spec.family})
        os.replace(unfinished, path)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else shorten(error)
        raise MotionModuleError(
            f"{shorten(path)} cannot be written ({reason}): choose another folder or name."
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
