"""The ControlNet that Forge, reForge and Forge Classic bring along, as types and as it is found in a request.

Read from the sources of these hosts; found by what a script has, never by its name. It prepares its units
before sampling, and asks for each one's pictures by `get_input_data`, which is where a unit that follows
frames gets them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard, overload

import numpy as np
import numpy.typing as npt
import torch

from animatediff_webui.core.errors import UserError, quoted
from animatediff_webui.hosts.webui.host_types import Request, Script, is_image_request
from animatediff_webui.hosts.webui.patched_unet import UnetPatcher, when_patched
from animatediff_webui.hosts.webui.patches import telling, wrapped
from animatediff_webui.media.readers.folder import read_picture

from .unit_frames import UnitFrames, has_content, listed_frames

Pixels = npt.NDArray[np.uint8]
Input: TypeAlias = "Sequence[object]"
"""A picture, and its mask or None."""
Inputs: TypeAlias = "tuple[Sequence[Input], object]"
"""Those of a unit, and how they are to be resized."""


class Unit(Protocol):
    """A ControlNetUnit. `image` is a picture, or one with what is drawn on it."""

    enabled: bool
    input_mode: object
    module: str
    image: object
    mask_image: object
    use_preview_as_input: bool
    generated_image: object
    save_detected_map: bool


class Preprocessor(Protocol):
    """What makes a map of a picture."""

    name: str


class UnitParams(Protocol):
    """A unit that is prepared; `control_cond` is `f c h w`, or what the preprocessor made of one picture."""

    preprocessor: Preprocessor
    model: Any  # a patcher of the host or of an extension; None where the file is of no known kind
    control_cond: object
    control_mask: object


class IntegratedScript(Script, Protocol):
    """The script; `current_params` are those of the enabled units that could be prepared, by number."""

    current_params: dict[int, UnitParams]

    def get_enabled_units(self, units: Sequence[object]) -> Sequence[Unit]: ...
    def get_input_data(
        self, p: Request, unit: Unit, preprocessor: Preprocessor, h: int, w: int
    ) -> Inputs: ...


@dataclass(frozen=True, kw_only=True)
class IntegratedUnit(UnitFrames):
    """A unit of this ControlNet that follows frames."""

    unit: Unit
    script: IntegratedScript

    @property
    def takes_masks(self) -> bool:
        return _takes_mask(self.unit)

    @property
    def takes_keyframes(self) -> bool:
        return False

    def fill(self, stack: ExitStack, files: Sequence[Path], mask_folder: Path | None) -> Unit:
        filled = _with(self.unit, input_mode=_simple(self.unit), save_detected_map=False)
        folder = self.mask_folder or (mask_folder if self.takes_masks else None)
        masks = listed_frames(Path(folder), str(folder)) if folder is not None else ()

        def reading(original: Callable[..., Inputs]) -> Callable[..., Inputs]:
            def get_input_data(p: Request, unit: Unit, *others: object) -> Inputs:
                if unit is not filled:
                    return original(p, unit, *others)
                inputs = FrameInputs(files, masks, lambda each: original(p, each, *others), unit)
                return inputs, inputs.resize_mode

            return get_input_data

        stack.enter_context(wrapped(self.script, "get_input_data", reading))
        return filled


class FrameInputs(Sequence[Input]):
    """The pictures of frames with their masks, each read when it is asked for.

    `read` is the host's function for a unit with one picture; `resize_mode` is what it says of the first.
    """

    def __init__(
        self,
        files: Sequence[Path],
        masks: Sequence[Path],
        read: Callable[[Unit], Inputs],
        unit: Unit,
    ) -> None:
        self._files, self._masks, self._read, self._unit = files, masks, read, unit
        _, self.resize_mode = self._read_frame(0)

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Input: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Input]: ...
    def __getitem__(self, index: int | slice) -> Input | Sequence[Input]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self._read_frame(range(len(self))[index])[0]

    def __iter__(self) -> Iterator[Input]:
        return (self[index] for index in range(len(self)))

    def _read_frame(self, index: int) -> tuple[Input, object]:
        picture = _pixels(self._files[index])
        fields = _picture_fields(self._unit, "image", picture)
        if self._masks:
            mask = _pixels(self._masks[min(index, len(self._masks) - 1)])
            fields |= _picture_fields(self._unit, "mask_image", mask)
        inputs, resize_mode = self._read(_with(self._unit, **fields))
        found, found_mask = inputs[0]
        if self._masks and found_mask is None:  # a black mask is none to the host, but each frame needs one
            found_mask = np.zeros_like(found)
        return [found, found_mask], resize_mode


def find_integrated(p: Request) -> IntegratedScript | None:
    """The script among the request's."""
    for script in p.scripts.alwayson_scripts if p.scripts is not None else ():
        if _is_integrated(script):
            return script
    return None


def find_integrated_units(p: Request, readable_folder: Callable[[str], Path]) -> list[IntegratedUnit]:
    """The enabled units that follow frames. Raises UserError for folders that are not there."""
    script = find_integrated(p)
    if script is None:
        return []
    found: list[IntegratedUnit] = []
    for place in range(script.args_from, min(script.args_to, len(p.script_args))):
        argument = p.script_args[place]
        units = script.get_enabled_units([argument]) if _is_unit(argument) else ()
        if len(units) == 1 and not _has_picture(units[0]):
            found.append(_read_unit(script, place, units[0], readable_folder))
    return found


def check_prepared(p: Request, units: Sequence[UnitFrames], *, is_windowed: bool) -> None:
    """UserError where the script could not prepare a unit, or does not do so for each frame that it follows.

    The host would go on without it.
    """
    script = find_integrated(p)
    if script is None:
        return
    arguments = p.script_args
    followers = [each for each in units if isinstance(each, IntegratedUnit)]
    filled = [arguments[each.place] for each in followers if arguments[each.place] is not each.unit]
    for number, unit in enumerate(script.get_enabled_units(arguments[script.args_from : script.args_to])):
        params = getattr(script, "current_params", {}).get(number)
        follows = any(unit is each for each in filled)
        if params is None or params.model is None:
            raise UserError(_why_unprepared(p, number, unit, follows=follows))
        if not follows or has_content(unit.image):
            continue
        is_map = isinstance(params.control_cond, torch.Tensor)
        if not is_map or (is_windowed and hasattr(params.preprocessor, "is_recording_style")):
            raise UserError(
                f"ControlNet's {params.preprocessor.name} cannot follow a video in this WebUI"
                f"{' in several windows' if is_map else ''}: give the unit a picture of its own."
            )


@contextmanager
def applied_units(p: Request) -> Generator[None, None, None]:
    """Inside, an error with which the script fails to apply its units to the UNet ends the request.

    The host would go on without them. Raises UserError from within the host's sampling.
    """
    script = find_integrated(p)
    if script is None:
        yield
        return
    errors: list[Exception] = []

    def tell(_stack: ExitStack, _patcher: UnetPatcher) -> None:
        if errors:
            raise UserError(_why_unapplied(p, script, errors[0])) from errors[0]

    keeping = telling(p, errors.append)
    with wrapped(script, "process_before_every_sampling", keeping), when_patched(p, tell):
        yield


def _why_unapplied(p: Request, script: IntegratedScript, error: Exception) -> str:
    units = script.get_enabled_units(p.script_args[script.args_from : script.args_to])
    for number, unit in enumerate(units):
        params = getattr(script, "current_params", {}).get(number)
        if _takes_mask(unit) and params is not None and params.control_mask is None:
            return f"ControlNet's {unit.module} of unit {number} needs a mask: give it one, or set Mask path."
    return (
        f"ControlNet could not apply its units ({quoted(error)}): correct or disable them; the WebUI's log "
        "has the error."
    )


def _why_unprepared(p: Request, number: int, unit: Unit, *, follows: bool) -> str:
    if not follows and not _has_picture(unit) and not is_image_request(p):
        return f"ControlNet's unit {number} has no picture: give it one, or a video source to follow."
    return (
        f"ControlNet could not prepare its unit {number} (preprocessor {unit.module}): correct it; "
        "the WebUI's log has the error."
    )


def _read_unit(
    script: IntegratedScript, place: int, unit: Unit, readable_folder: Callable[[str], Path]
) -> IntegratedUnit:
    if not _is_in_mode(unit, "batch"):
        return IntegratedUnit(place=place, unit=unit, script=script)
    named: str = getattr(unit, "batch_image_dir", None) or ""
    masks: str = getattr(unit, "batch_mask_dir", None) or ""
    if not named.strip():
        raise UserError("A ControlNet unit in batch mode names no folder: name one, or choose another mode.")
    return IntegratedUnit(
        place=place,
        unit=unit,
        script=script,
        files=listed_frames(readable_folder(named), named),
        mask_folder=str(readable_folder(masks)) if masks.strip() else None,
    )


def _takes_mask(unit: Unit) -> bool:
    return "inpaint" in unit.module.lower()


def _is_unit(argument: object) -> bool:
    return isinstance(argument, Mapping) or hasattr(argument, "enabled")


def _has_picture(unit: Unit) -> bool:
    if _is_in_mode(unit, "batch"):
        return False
    is_drawn = unit.use_preview_as_input and unit.generated_image is not None
    return is_drawn or has_content(unit.image) or not _is_in_mode(unit, "simple")


def _is_in_mode(unit: Unit, mode: str) -> bool:
    """Clients write modes as texts, the page as members of an enumeration."""
    return getattr(unit.input_mode, "value", unit.input_mode) == mode


def _simple(unit: Unit) -> object:
    """The mode of a unit with one picture, which is what a new one has."""
    return type(unit).input_mode


def _with(unit: Unit, **fields: object) -> Unit:
    changed = copy.copy(unit)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _picture_fields(unit: Unit, name: str, pixels: Pixels) -> dict[str, object]:
    """A picture as the host keeps it: what is drawn on it is a field of its own, or a part of this one."""
    drawn = f"{name}_fg"
    if hasattr(unit, drawn):
        return {name: pixels, drawn: np.zeros((*pixels.shape[:2], 4), np.uint8)}
    return {name: {"image": pixels, "mask": np.zeros_like(pixels)}}


def _pixels(file: Path) -> Pixels:
    return np.asarray(read_picture(file))


def _is_integrated(script: Script) -> TypeGuard[IntegratedScript]:
    return hasattr(script, "get_input_data") and hasattr(script, "get_enabled_units")
