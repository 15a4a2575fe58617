"""What the frames of a request come from: the pictures of img2img, a source, folders of ControlNet's units.

A source drives ControlNet's units, where some have no picture of their own; else each frame starts from its
own picture, in txt2img too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from PIL import Image

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.sources import SourceInfo

from .controlnet.unit_frames import ControlFrames, UnitFrames
from .host_types import Request, is_image_request

if TYPE_CHECKING:
    from animatediff_webui.media.sources import ClipSource

_FASTEST = 1  # zlib's level: the files live as long as the request


@dataclass(frozen=True)
class RequestSource:
    """`pictures` are img2img's, None in txt2img; several are a frame each. `clip` is the source that the
    parameters name, `units` those of ControlNet that follow frames."""

    pictures: Sequence[Image.Image] | None
    clip: ClipSource
    units: tuple[UnitFrames, ...]

    @property
    def has_many_pictures(self) -> bool:
        return len(self.pictures or ()) > 1

    @property
    def drives_units(self) -> bool:
        """Whether ControlNet's units follow the pictures or the source."""
        follow = any(unit.files is None for unit in self.units)
        return follow and (self.has_many_pictures or self.clip.frames is not None)

    @property
    def starts_from_clip(self) -> bool:
        """Whether each frame starts from its own frame of the source."""
        if self.clip.frames is None or self.has_many_pictures:
            return False
        return not self.drives_units or (self.pictures is not None and not self.pictures)

    @property
    def infos(self) -> tuple[SourceInfo, ...]:
        """What a plan has to know."""
        folders = [SourceInfo("a ControlNet unit's folder", unit.num_frames) for unit in self.units]
        if self.has_many_pictures:
            rate = getattr(self.pictures, "fps", None)  # the batch tab's pictures may be a video's
            return (SourceInfo("img2img's pictures", len(self.pictures or ()), rate), *folders)
        return (*self.clip.infos, *folders)

    @property
    def notes(self) -> list[str]:
        """What the user should know of it."""
        if self.clip.frames is None:
            return []
        if self.has_many_pictures:
            return ["The frames are the pictures of the batch: the video source is not used."]
        if self.pictures and self.starts_from_clip:
            return ["Each frame starts from the video source: the picture is not used."]
        if self.clip.found_masks and self.clip.masks is None:
            return ["The masks beside the frames are not used: nothing here is drawn by masks."]
        return []

    def settled(self) -> RequestSource:
        """Without masks that only lie beside the frames, where nothing is for them.

        Raises UserError for what cannot be the beginning of a clip.
        """
        if self.pictures is not None and not self.pictures and self.clip.frames is None:
            raise UserError("img2img has nothing to start from: give it a picture, or a video source.")
        if self.clip.masks is None or any(unit.takes_masks for unit in self.units):
            return self
        if self.pictures is not None and self.starts_from_clip:
            return self
        if self.clip.found_masks:
            return replace(self, clip=replace(self.clip, masks=None))
        raise UserError(
            "There is nothing that mask_path could be for: use it with an inpaint unit of ControlNet, or "
            "in img2img with a video source."
        )

    def enter_control_frames(self, stack: ExitStack, num_frames: int) -> ControlFrames:
        """The frames that units follow, as files that are there until the stack is closed."""
        if not self.drives_units:
            return ControlFrames()
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="animatediff-")))
        numbers = range(num_frames)
        pictures = self.pictures or ()
        frames = iter(pictures[:num_frames]) if self.has_many_pictures else self.clip.read_frames(numbers)
        files = _write_files(folder / "image", frames)
        if self.clip.masks is None:
            return ControlFrames(files)
        return ControlFrames(files, _write_files(folder / "mask", self.clip.read_masks(numbers))[0].parent)

    def start_frames(self, num_frames: int) -> Sequence[Image.Image]:
        """The picture that each frame starts from, read when it is asked for; none where all start alike."""
        frames = self.clip.frames
        if not self.starts_from_clip or frames is None:
            return ()
        if frames.is_still:
            return list(frames.read([0] * num_frames))
        return cast("Sequence[Image.Image]", frames[:num_frames])

    def start_masks(self, num_frames: int) -> list[Image.Image]:
        """The masks of those."""
        return list(self.clip.read_masks(range(num_frames))) if self.starts_from_clip else []


def read_pictures(p: Request) -> Sequence[Image.Image] | None:
    """The pictures that img2img was given, None in txt2img; the page gives None for an empty field."""
    if not is_image_request(p):
        return None
    given = cast("Sequence[object]", p.init_images or ())
    is_empty = len(given) == 0 or (len(given) == 1 and given[0] is None)
    return [] if is_empty else p.init_images


def _write_files(folder: Path, pictures: Iterable[Image.Image]) -> tuple[Path, ...]:
    folder.mkdir()
    files: list[Path] = []
    for number, picture in enumerate(pictures):
        file = folder / f"{number:06}.png"
        picture.convert("RGB").save(file, compress_level=_FASTEST)
        files.append(file)
    return tuple(files)
