"""A weights file by the names and shapes of its tensors: what it is, and where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from animatediff_webui.core.errors import UserError
from motion_module import MotionModuleError, read_shapes
from motion_module.kinds import UNKNOWN, detect_kind

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
        kind = detect_kind(self.shapes)
        if kind is not UNKNOWN and kind.title != wanted:
            return f"{self.name} is not {wanted} but {kind.title}: {kind.advice}."
        return f"{self.name} is not {wanted}: its {len(self.shapes)} tensors are named otherwise."


def read_weights_file(path: Path, what: str) -> WeightsFile:
    """The names and shapes in a file. UserError, which calls it `what`, where it cannot be read."""
    existing_file(path, what)
    try:
        return WeightsFile(path.name, read_shapes(path).shapes)
    except (MotionModuleError, OSError) as error:
        raise UserError(f"The {what} {path.name} cannot be read: {one_line(error)}") from error
