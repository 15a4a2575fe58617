"""The frames that a unit of ControlNet follows, whichever ControlNet the host has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from animatediff_webui.core.errors import UserError
from animatediff_webui.media.readers.local import natural_order


@dataclass(frozen=True, kw_only=True)
class UnitFrames(ABC):
    """A unit that follows frames, at its place among the request's script arguments.

    `files` are those of its own folder, None where it follows the source; `keyframes` are the frames that
    they belong to, None where each belongs to the next one.
    """

    place: int
    files: tuple[Path, ...] | None = None
    mask_folder: str | None = None
    keyframes: tuple[int, ...] | None = None

    @property
    def num_frames(self) -> int | None:
        """How long a clip its folder is enough for; None where it sets no limit."""
        return len(self.files) if self.files is not None and self.keyframes is None else None

    @property
    @abstractmethod
    def takes_masks(self) -> bool:
        """Whether the masks of the source are for it."""

    @property
    @abstractmethod
    def takes_keyframes(self) -> bool:
        """Whether pictures of some frames alone are for it."""

    @abstractmethod
    def fill(self, stack: ExitStack, files: Sequence[Path], mask_folder: Path | None) -> object:
        """The argument with which ControlNet finds these frames, until the stack is closed."""


@dataclass(frozen=True)
class ControlFrames:
    """The source's frames as files, and its masks: none, one for all, or one for each."""

    files: tuple[Path, ...] = ()
    mask_folder: Path | None = None


def listed_frames(folder: Path, name: str) -> tuple[Path, ...]:
    """The pictures of a unit's folder, which the request calls by `name`. Raises UserError."""
    files = tuple(natural_order(folder))
    if not files:
        raise UserError(f"The folder {name} of a ControlNet unit holds no pictures: choose another.")
    return files


def has_content(image: object) -> bool:
    """Whether a unit's picture is there: the page and the API give it as such, or as one of several parts."""
    if isinstance(image, Mapping):
        image = cast("Mapping[str, object]", image).get("image")
    return image is not None
