"""How strongly a motion module acts, frame by frame and place by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from motion_module.errors import MotionModuleError

if TYPE_CHECKING:
    from motion_module.camera.cameras import Cameras


@dataclass(frozen=True, eq=False)
class FrameValues:
    """A number for each frame, or for each place in each frame: `f h w` in float32, on the CPU.

    An axis of one is the same for all. `h w` may be of any size: they are stretched over what they act on.
    """

    values: Tensor
    _sized: dict[tuple[object, ...], Tensor] = field(default_factory=dict[tuple[object, ...], Tensor])

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or not self.values.isfinite().all():
            raise MotionModuleError(
                f"Values of the shape {tuple(self.values.shape)} were given for frames: give finite numbers "
                "`f h w`."
            )

    @property
    def is_zero(self) -> bool:
        """Whether all of them are 0."""
        return not self.values.any()

    @property
    def is_uniform(self) -> bool:
        """Whether all places of a frame have the same."""
        return self.values.shape[1:] == (1, 1)

    def of(self, frames: Sequence[int]) -> FrameValues:
        """Those of some frames, by index."""
        if len(self.values) == 1:
            return self
        if max(frames) >= len(self.values):
            raise MotionModuleError(
                f"There are values for {len(self.values)} frames, but frame {max(frames)} is asked for: give "
                "one for each frame."
            )
        return FrameValues(self.values[list(frames)])

    def over(self, height: int, width: int, like: Tensor) -> Tensor:
        """`f h w` of that size, or `f 1 1`, in the dtype and on the device of `like`."""
        key = (height, width, like.dtype, like.device)
        if key not in self._sized:
            values = self.values
            if not self.is_uniform:
                size = (height, width)
                values = F.interpolate(values[None], size, mode="bilinear", antialias=True)[0]
            self._sized[key] = values.to(like)
        return self._sized[key]

    def rows(self, hidden: Tensor) -> Tensor:
        """Those of a clip's frames for the rows of `(b f) c h w`."""
        height, width = hidden.shape[2:]
        frames = self.over(height, width, hidden)[:, None]
        return frames if len(frames) == 1 else frames.repeat(len(hidden) // len(frames), 1, 1, 1)


@dataclass(frozen=True, eq=False)
class Picture:
    """What a clip shows: latents `1 c h w` as the UNet takes them, and how alike each frame is, 0 to 1.

    `encoded` is what an encoder has made of it, which it keeps there.
    """

    latents: Tensor
    affinity: FrameValues
    encoded: dict[tuple[object, ...], list[Tensor]] = field(
        default_factory=dict[tuple[object, ...], "list[Tensor]"]
    )


@dataclass(frozen=True)
class Reference:
    """That the frames of the windows of a step see some of the first window's, each as if it were `strength`
    frames of their own; `is_first` is whether this is that window."""

    strength: float
    is_first: bool


@dataclass(frozen=True)
class View:
    """Frames of a window, by their places in it, that attend to each other alone, and what each then counts.

    Over all views of a window, each frame's weights sum to one.
    """

    frames: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class MotionControl:
    """What changes how a motion module acts; None changes nothing.

    scale: the keys of its attentions are multiplied by it, so that softmax(q k / sqrt(e)) becomes
    softmax(scale q k / sqrt(e)): above 1 a frame attends to the most similar ones alone, at 0 to all alike.
    A frame's value weighs how others attend to it. effect: h becomes h + effect (layer(h) - h).
    (Both as the multivals of the same names in ComfyUI-AnimateDiff-Evolved.) views: each attention's outputs
    over these frames are averaged; without any, all frames of a window attend to each other. picture: what a
    module that animates a picture is shown. reference: what is seen of another window. cameras: how the
    frames are looked at, for a module that is told so.
    """

    scale: FrameValues | None = None
    effect: FrameValues | None = None
    views: tuple[View, ...] = ()
    picture: Picture | None = None
    reference: Reference | None = None
    cameras: Cameras | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the module adds nothing at all."""
        return self.effect is not None and self.effect.is_zero

    def times(self, factor: float) -> MotionControl:
        """With so much of the effect."""
        if factor == 1:
            return self
        values = torch.ones(1, 1, 1) if self.effect is None else self.effect.values
        return replace(self, effect=FrameValues(values * factor))

    def frames_at_once(self, num_frames: int) -> int:
        """The most frames that attend to each other, in a window of so many."""
        return max((len(view.frames) for view in self.views), default=num_frames)

    def of(self, frames: Sequence[int]) -> MotionControl:
        """What counts for some frames, by index."""
        picture, cameras = self.picture, self.cameras
        if self.scale is None and self.effect is None and picture is None and cameras is None:
            return self
        return replace(
            self,
            scale=None if self.scale is None else self.scale.of(frames),
            effect=None if self.effect is None else self.effect.of(frames),
            picture=picture and replace(picture, affinity=picture.affinity.of(frames)),
            cameras=cameras and cameras.of(frames),
        )


UNCHANGED = MotionControl()
