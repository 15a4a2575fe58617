"""What ControlNets follow: frames of a video or folder, or a picture, as the networks want to see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from animatediff_webui.core.errors import ParameterError, UserError
from animatediff_webui.media.sources import describe_source, open_part, read_numbered

from ..pixels import fitted
from .preprocessors import load_preprocessor

if TYPE_CHECKING:
    from PIL import Image

    from animatediff_webui.core.parameters import Parameters
    from animatediff_webui.core.sources import SourceInfo
    from animatediff_webui.media.readers import FrameSource
    from animatediff_webui.media.sources import ClipSource

    from .settings import ControlNet


@dataclass(frozen=True)
class Followed:
    """A ControlNet and the frames that it follows; None where it has one picture for all."""

    control: ControlNet
    frames: FrameSource | None

    @property
    def infos(self) -> tuple[SourceInfo, ...]:
        """What a plan has to know; nothing of the clip's source, which the plan knows."""
        if self.frames is None or self.control.follows_source:
            return ()
        return (describe_source("the control video", self.frames),)

    def pictures(self, num_frames: int) -> Iterator[Image.Image]:
        """One for each frame, or one for all of them."""
        if self.control.picture is not None:
            return iter([self.control.picture])
        if self.frames is None:
            return iter(())
        return read_numbered(self.frames, range(1 if self.frames.is_still else num_frames))


def open_followed(
    controlnets: Sequence[ControlNet], parameters: Parameters, source: ClipSource
) -> tuple[Followed, ...]:
    """What each ControlNet follows, of videos the part that `parameters` choose. Raises UserError."""
    return tuple(_open_followed(each, parameters, source) for each in controlnets)


def _open_followed(control: ControlNet, parameters: Parameters, source: ClipSource) -> Followed:
    if control.picture is not None:
        return Followed(control, None)
    if control.video is not None:
        return Followed(control, open_part(control.video, parameters))
    if source.frames is None:
        raise ParameterError(
            f"ControlNet {control.name} has nothing to follow: give it a control video or image, or give "
            "a video_source or video_path."
        )
    return Followed(control, source.frames)


@dataclass(frozen=True)
class HintReader:
    """Reads and prepares hints for a clip of so many frames; `size` is width and height in pixels."""

    size: tuple[int, int]
    num_frames: int
    is_stopped: Callable[[], bool]

    def read(self, followed: Followed) -> torch.Tensor:
        """Bytes `f h w c`, on the CPU; f is 1 where one is for all frames.

        Raises UserError where a frame cannot be read, and where somebody stops it meanwhile.
        """
        prepare = load_preprocessor(followed.control.preprocessor)
        rows: list[torch.Tensor] = []
        for picture in followed.pictures(self.num_frames):
            if self.is_stopped():
                raise UserError("Stopped while the control video was read: nothing was made yet.")
            prepared = prepare(fitted(picture.convert("RGB"), self.size))
            # torch publishes no type for arrays.
            rows.append(torch.from_numpy(np.array(prepared)))  # pyright: ignore[reportUnknownMemberType]
        return torch.stack(rows)
