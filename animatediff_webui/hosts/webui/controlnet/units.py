"""ControlNet's units, given the frames they are to follow.

A unit's own picture goes first, then its own folder of frames; to a unit that has neither, the source's
frames are given.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.webui.host_types import Request
from animatediff_webui.hosts.webui.patches import replaced

from .integrated import find_integrated_units
from .peer import Unit, find_script, is_sparsectrl, read_unit
from .unit_frames import ControlFrames, UnitFrames, has_content, listed_frames

_MASKS, _KEYFRAMES = "mask:", "keyframe:"


@dataclass(frozen=True, kw_only=True)
class NetworkUnit(UnitFrames):
    """A unit of sd-webui-controlnet that follows frames."""

    unit: Unit

    @property
    def takes_masks(self) -> bool:
        return self.unit.is_inpaint

    @property
    def takes_keyframes(self) -> bool:
        return self.files is None and (self.unit.is_ipadapter or is_sparsectrl(self.unit))

    def fill(self, stack: ExitStack, files: Sequence[Path], mask_folder: Path | None) -> Unit:
        """The maps that it makes of the frames stay out of the answer."""
        unit, paths = self.unit, [str(file) for file in files]
        update: dict[str, object] = {
            "input_mode": type(unit.input_mode)["SIMPLE"],
            "batch_image_files": paths,
            "batch_keyframe_idx": None if self.keyframes is None else list(self.keyframes),
            "save_detected_map": False,
        }
        if unit.is_ipadapter:
            # Of a folder, ControlNet would make one embedding that it cannot use.
            return unit.copy(update={**update, "image": [{"image": path, "mask": None} for path in paths]})
        lines = [str(files[0].parent)]
        masks = self.mask_folder or (mask_folder if self.takes_masks else None)
        if masks is not None:
            lines.append(f"{_MASKS}{masks}")
        if self.keyframes is not None:
            lines.append(_KEYFRAMES + ",".join(map(str, self.keyframes)))
        update |= {"animatediff_batch": True, "batch_images": "\n".join(lines)}
        return unit.copy(update={**update, "batch_modifiers": [*unit.batch_modifiers, _listing(paths)]})


def find_units(p: Request, readable_folder: Callable[[str], Path]) -> list[UnitFrames]:
    """The enabled units that follow frames: their own, or the source's.

    `readable_folder` opens a folder that the request names. Raises UserError for folders that are not there,
    and keyframes that do not go with them.
    """
    script = find_script(p)
    found: list[UnitFrames] = [*find_integrated_units(p, readable_folder)]
    if script is None:
        return found
    for place in range(script.args_from, min(script.args_to, len(p.script_args))):
        unit = read_unit(p.script_args[place], place - script.args_from)
        if unit is not None and unit.enabled and not _has_picture(unit):
            found.append(_read_frames(place, unit, readable_folder))
    return found


def with_keyframes(
    units: Sequence[UnitFrames], keyframes: Sequence[tuple[int, Path]]
) -> tuple[UnitFrames, ...]:
    """The units, of which those that pictures of some frames are for follow these.

    Raises UserError where there is none.
    """
    takers = {each.place for each in units if keyframes and each.takes_keyframes}
    if keyframes and not takers:
        raise UserError(
            "No ControlNet unit takes the keyframes: choose a SparseCtrl or an IP-Adapter in an enabled unit "
            "of sd-webui-controlnet, and give it no picture of its own."
        )
    frames = tuple(frame for frame, _ in keyframes)
    files = tuple(file for _, file in keyframes)
    return tuple(
        replace(each, files=files, keyframes=frames) if each.place in takers else each for each in units
    )


@contextmanager
def filled_units(
    p: Request, units: Sequence[UnitFrames], source: ControlFrames, num_frames: int
) -> Generator[None, None, None]:
    """Inside, ControlNet finds the frames of a clip in the units that follow some."""
    arguments = list(p.script_args)
    with ExitStack() as stack:
        for each in units:
            files = source.files if each.files is None else each.files
            if files:
                arguments[each.place] = each.fill(stack, files[:num_frames], source.mask_folder)
        # Newer hosts have a property in front, which would set the scripts up once more.
        name = "script_args_value" if hasattr(p, "script_args_value") else "script_args"
        stack.enter_context(replaced(p, name, arguments))
        yield


def _listing(paths: list[str]) -> Callable[[object, Request], list[str]]:
    """A modifier of a unit: the files it is to read, whatever else its folder holds."""

    def list_files(_listed: object, _p: Request) -> list[str]:
        return paths

    return list_files


def _has_picture(unit: Unit) -> bool:
    return has_content(unit.image) or unit.ipadapter_input is not None


def _read_frames(place: int, unit: Unit, readable_folder: Callable[[str], Path]) -> NetworkUnit:
    """A unit, with what the lines of its folder say. Raises UserError."""
    text = unit.batch_images
    if not isinstance(text, str) or not text.strip():
        return NetworkUnit(place=place, unit=unit)
    folder_line, *others = [line.strip() for line in text.strip().splitlines()]
    files = listed_frames(readable_folder(folder_line), folder_line)
    masks, keyframes = None, None
    for line in others:
        if line.startswith(_MASKS):
            masks = str(readable_folder(line.removeprefix(_MASKS).strip()))
        elif line.startswith(_KEYFRAMES):
            keyframes = _read_keyframes(line.removeprefix(_KEYFRAMES))
    if keyframes is not None and len(keyframes) != len(files):
        raise UserError(
            f"A ControlNet unit names {len(keyframes)} keyframes for the {len(files)} pictures in "
            f"{folder_line}: name one for each."
        )
    return NetworkUnit(place=place, unit=unit, files=files, mask_folder=masks, keyframes=keyframes)


def _read_keyframes(text: str) -> tuple[int, ...]:
    """Frames, ascending. Raises UserError."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UserError(f'"{text.strip()}" are no keyframes: write numbers with commas, such as 0,6,12.')
    frames = tuple(map(int, words))
    if any(later <= frame for frame, later in pairwise(frames)):
        raise UserError(f"The keyframes {text.strip()} of a ControlNet unit do not ascend: sort them.")
    return frames


def check_keyframes(units: Sequence[UnitFrames], num_frames: int) -> None:
    """UserError for a unit's keyframe that the clip does not have."""
    for each in units:
        if each.keyframes is not None and each.keyframes[-1] >= num_frames:
            raise UserError(
                f"Keyframe {each.keyframes[-1]} of a ControlNet unit is past the last frame "
                f"({num_frames - 1}): raise the number of frames."
            )
