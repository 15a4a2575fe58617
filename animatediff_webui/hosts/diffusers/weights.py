"""A weights file by the names and shapes of its tensors: what it is, and where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from animatediff_webui.core.errors import UserError
from motion_module.checkpoints import read_checkpoint
from motion_module.errors import MotionModuleError
from motion_module.names import NAMINGS
from motion_module.other_kinds import OTHER_KINDS

from .files import existing_file, one_line


@dataclass(frozen=True)
class WeightsFile:
    """A file's tensors by key: their shapes."""

    name: str
    shapes: Mapping[str, tuple[int, ...]]

    def has(self, prefix: str) -> bool:
        """Whether a key begins so."""
        return any(key.startswith(prefix) for key in self.shapes)

    def shape(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A tensor's shape, or the default where there is no such tensor or it has another number of axes."""
        shape = self.shapes.get(key, default)
        return shape if len(shape) >= len(default) else default

    def explain(self, wanted: str) -> str:
        """Why the file is not what was wanted, in one sentence: what it is, and where it belongs."""
        if any(naming.match(key) for naming in NAMINGS for key in self.shapes):
            return f"{self.name} is not {wanted} but a motion module: choose it as the motion module."
        for kind in OTHER_KINDS:
            if kind.owns(self.shapes) and kind.name != wanted:
                return f"{self.name} is not {wanted} but {kind.name}: {kind.advice}."
        return f"{self.name} is not {wanted}: its {len(self.shapes)} tensors are named otherwise."


def read_weights_file(path: Path, what: str) -> WeightsFile:
    """The names and shapes in a file. UserError, which calls it `what`, where it cannot be read."""
    existing_file(path, what)
    try:
        if path.suffix.lower() == ".safetensors":
            return WeightsFile(path.name, _safetensors_shapes(path))
        tensors = read_checkpoint(path).tensors
    except (MotionModuleError, OSError, RecursionError) as error:
        raise UserError(f"The {what} {path.name} cannot be read: {one_line(error)}") from error
    return WeightsFile(path.name, {key: tuple(tensor.shape) for key, tensor in tensors.items()})


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path.name} is damaged ({error}): get the complete file.") from error
