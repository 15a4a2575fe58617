"""What a clip is made from: the chosen part of a video or folder, its masks and its sound."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from animatediff_webui.core.frame_rate import exact_fps
from animatediff_webui.core.keyframes import Keyframes
from animatediff_webui.core.received import decode_base64, is_received_file
from animatediff_webui.core.sources import SourceInfo

from .readers import FrameSource, read_frames, read_picture
from .readers.local import local_path
from .sound import Sound

if TYPE_CHECKING:
    from animatediff_webui.core.parameters import Parameters

FRAMES_FOLDER, MASKS_FOLDER = "image", "mask"
Place: TypeAlias = "Callable[[str, str], Path]"
"""Where the file or folder is that a parameter names; its name follows."""


@dataclass(frozen=True)
class ClipSource:
    """The frames that were chosen, None where no source was given, and masks for them, white where something
    is to be drawn anew. Of masks, one still picture serves all frames. `found_masks`: there are some beside
    the frames, which nobody named. `keyframes` are pictures of some frames, in their order, as PNG files."""

    frames: FrameSource | None = None
    masks: FrameSource | None = None
    found_masks: bool = False
    keyframes: tuple[tuple[int, Path], ...] = ()

    @property
    def infos(self) -> tuple[SourceInfo, ...]:
        """What a plan has to know."""
        named = (("the source", self.frames), ("the masks", self.masks))
        return tuple(describe_source(name, source) for name, source in named if source is not None)

    @property
    def sound(self) -> Sound | None:
        """The sound that goes with the frames, None where there is none."""
        if self.frames is None or self.frames.sound_start is None:
            return None
        return Sound(self.frames.path, self.frames.sound_start)

    def read_frames(self, numbers: Iterable[int]) -> Iterator[Image.Image]:
        """The source's frames of these numbers; a still picture is all of them."""
        return read_numbered(self.frames, numbers)

    def read_masks(self, numbers: Iterable[int]) -> Iterator[Image.Image]:
        """The masks of these numbers."""
        return read_numbered(self.masks, numbers)


@contextmanager
def opened_source(
    parameters: Parameters, readable_path: Callable[[str], Path] | None = None
) -> Generator[ClipSource, None, None]:
    """The source that `parameters` ask for; what a request brought along is removed at the end.

    `video_path` wins over `video_source`; in a folder, `image` and `mask` are looked for. `readable_path`
    opens a path that a request from elsewhere names, or raises UserError; such a request may also bring the
    file along, as base64 or a data URL. None: whoever asks is the user of this machine. Raises UserError.
    """
    source = parameters.source
    with tempfile.TemporaryDirectory(prefix="animatediff-") as folder:

        def place(text: str, name: str) -> Path:
            if readable_path is None:
                return local_path(text)
            if not is_received_file(text):
                return readable_path(text)
            received = Path(folder, name)
            received.write_bytes(decode_base64(text, name, "file"))
            return received

        frames, masks = _main_places(source.folder, source.video, place)
        if source.masks is not None:
            masks = place(source.masks, "mask_path")
        has_found = masks is not None and source.masks is None
        keyframes = _write_keyframes(Path(folder, "keyframes"), source.keyframes, place)
        yield ClipSource(*_read_both(frames, masks, parameters), has_found, keyframes)


def read_numbered(source: FrameSource | None, numbers: Iterable[int]) -> Iterator[Image.Image]:
    """A source's frames of these numbers; a still picture is all of them."""
    if source is None:
        return iter(())
    return source.read(0 if source.is_still else number for number in numbers)


def open_part(path: Path | str, parameters: Parameters) -> FrameSource:
    """The part of a video or folder that `parameters` choose; a file of one picture as it is.

    Raises UserError.
    """
    place = local_path(path)
    return _still(place) or _read_part(place, parameters, _rate(parameters))


def _main_places(folder: str | None, video: str | None, place: Place) -> tuple[Path | None, Path | None]:
    """Where the frames are, and the masks in the same folder."""
    if folder is None:
        return (None if video is None else place(video, "video_source")), None
    path = place(folder, "video_path")
    frames, masks = path / FRAMES_FOLDER, path / MASKS_FOLDER
    return (frames if frames.is_dir() else path), (masks if masks.is_dir() else None)


def _write_keyframes(folder: Path, keyframes: Keyframes, place: Place) -> tuple[tuple[int, Path], ...]:
    """The pictures of frames as files of their own, upright and in RGB, whatever they were."""
    folder.mkdir()
    written: list[tuple[int, Path]] = []
    for each in keyframes.keyframes:
        named = each.picture
        picture = read_picture(place(named, "keyframes")) if isinstance(named, str) else named
        file = folder / f"{each.frame:09}.png"
        picture.convert("RGB").save(file)
        written.append((each.frame, file))
    return tuple(written)


def _read_both(
    frames: Path | None, masks: Path | None, parameters: Parameters
) -> tuple[FrameSource | None, FrameSource | None]:
    """The chosen frames, and the masks of the same numbers."""
    source, rate = parameters.source, _rate(parameters)
    part = None if frames is None else _read_part(frames, parameters, rate)
    if masks is None:
        return part, None
    still = _still(masks)
    if still is not None:
        return part, still
    if part is None:
        return None, _read_part(masks, parameters, rate)
    start = part.indices.start
    end = None if source.end is None else part.indices.stop
    return part, read_frames(masks, start=start, end=end, stride=source.stride)


def _read_part(path: Path, parameters: Parameters, rate: Fraction | None) -> FrameSource:
    source = parameters.source
    return read_frames(path, start=source.start, end=source.end, stride=source.stride, fps=rate)


def _rate(parameters: Parameters) -> Fraction | None:
    """The chosen rate, which times in a folder are counted by."""
    fps = parameters.output.fps
    return None if fps is None else exact_fps(fps)


def _still(path: Path) -> FrameSource | None:
    """A file of one picture, None for everything else."""
    if path.is_dir():
        return None
    whole = read_frames(path)
    return whole if whole.is_still else None


def describe_source(name: str, source: FrameSource) -> SourceInfo:
    """What a plan has to know of a source, which sentences call `name`."""
    notes: tuple[str, ...] = ()
    if source.is_resampled and source.fps is not None:
        notes = (
            f"The frames of {source.path.name} last differently: they are read at {float(source.fps):g} a "
            "second, some of them repeated or left out.",
        )
    return SourceInfo(
        f"{name} ({source.path.name})",
        None if source.is_still else len(source),
        None if source.is_still else source.fps,
        has_sound=source.sound_start is not None,
        notes=notes,
    )
