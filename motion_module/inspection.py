"""What a weights file is, and for which base model, by its keys and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from motion_module.errors import (
    BrokenMotionModuleError,
    IncompatibleBaseModelError,
    NotAMotionModuleError,
    WrongKindError,
    shorten,
)
from motion_module.families import FAMILY_NOTE
from motion_module.image_models import ImageModel, detect_image_model
from motion_module.kinds import IMAGE_CHECKPOINT, MOTION_MODULE, Kind, detect_kind, explain_misfit
from motion_module.layouts import detect_spec
from motion_module.spec import BaseModel, MotionModuleSpec
from motion_module.weights_files import Shape, read_shapes

CHECKPOINT_PARTS = {
    "UNet": re.compile(r"model\.diffusion_model\..+"),
    "VAE": re.compile(r"first_stage_model\..+"),
    "text encoder": re.compile(r"(?:cond_stage_model|conditioner\.embedders\.[0-9]+)\..+"),
}
"""What a whole image checkpoint holds, and the form of their keys."""


@dataclass(frozen=True)
class WeightsFile:
    """What is known of a file without its values. name: with its ending. notes: a safetensors header's."""

    name: str
    kind: Kind
    image_model: ImageModel | None
    shapes: Mapping[str, Shape]
    notes: Mapping[str, str]

    @property
    def base_model(self) -> BaseModel | None:
        """The base model that its weights are of or for; None where nothing tells, or it is another."""
        return self.image_model.base_model if self.image_model else None

    @property
    def missing_parts(self) -> tuple[str, ...]:
        """What a whole image checkpoint has and this file lacks."""
        return tuple(
            part for part, form in CHECKPOINT_PARTS.items() if not any(map(form.fullmatch, self.shapes))
        )

    def read_spec(self) -> MotionModuleSpec:
        """A motion module's layout and wishes.

        NotAMotionModuleError: the file is something else. BrokenMotionModuleError: it lacks keys.
        """
        stem = Path(self.name).stem
        spec = None
        if self.kind is MOTION_MODULE:
            spec = detect_spec(self.shapes, stem, self.notes.get(FAMILY_NOTE, ""))
        if spec is None:
            raise NotAMotionModuleError(explain_misfit(self.shapes, stem, MOTION_MODULE))
        return spec


def inspect_file(path: Path) -> WeightsFile:
    """What a file is; only keys and shapes are read, where its format allows that.

    MotionModuleError where there is no file, UnreadableFileError where it cannot be read as weights.
    """
    content = read_shapes(path)
    shapes = content.shapes
    return WeightsFile(path.name, detect_kind(shapes), detect_image_model(shapes), shapes, content.notes)


def check_kind(file: WeightsFile, wanted: Kind) -> None:
    """WrongKindError, with what the file is instead, unless it is of the wanted kind."""
    if file.kind is not wanted:
        raise WrongKindError(explain_misfit(file.shapes, file.name, wanted))


def check_checkpoint(file: WeightsFile) -> BaseModel:
    """The base model of a whole image checkpoint.

    WrongKindError where the file is something else, BrokenMotionModuleError where parts are missing,
    IncompatibleBaseModelError where it is of an image model that no motion modules exist for.
    """
    check_kind(file, IMAGE_CHECKPOINT)
    name = shorten(file.name)
    if file.missing_parts:
        raise BrokenMotionModuleError(
            f"{name} is an image checkpoint, but its {' and its '.join(file.missing_parts)} are missing: get "
            "the complete file."
        )
    if file.image_model is None:
        raise BrokenMotionModuleError(
            f"{name} is an image checkpoint, but its UNet is neither SD1.5's nor SDXL's, or not complete: "
            "get the complete file, or choose another."
        )
    if file.image_model.base_model is None:
        raise IncompatibleBaseModelError(
            f"{name} is a checkpoint of {file.image_model.name}, but motion modules exist for SD1.5 and "
            "SDXL: choose a checkpoint of one of those."
        )
    return file.image_model.base_model
