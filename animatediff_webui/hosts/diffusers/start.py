"""What a clip starts from that is more than noise: a source's frames or pictures as latents, and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from PIL import Image

from animatediff_webui.core.errors import ParameterError, UserError
from animatediff_webui.core.latents import blended_init

from .pixels import as_rows, fitted
from .vae import encode_frame

if TYPE_CHECKING:
    from animatediff_webui.core.parameters import InitImage
    from animatediff_webui.core.plan import Plan
    from animatediff_webui.media.sources import ClipSource

    from .image_settings import ImageSettings
    from .pipelines import Pipeline


@dataclass(frozen=True)
class Start:
    """`latents` `f c h w`: each frame's own, or one `1 c h w`, that of the first frame, for all, with `last`
    that of the last one. `masks` `f 1 h w` are 1 where the clip is drawn anew, 0 where it stays; `strength`
    is the share of the steps that are sampled."""

    latents: torch.Tensor
    strength: float
    last: torch.Tensor | None = None
    masks: torch.Tensor | None = None

    def for_noise(self, noise: torch.Tensor, settings: InitImage) -> torch.Tensor:
        """The clip's latents `f c h w`; a single picture's share falls from frame to frame, `noise` rises.

        What masks keep is whole in every frame.
        """
        if len(self.latents) == len(noise) and self.last is None:
            return self.latents
        whole = self.latents.expand_as(noise)
        blended = blended_init(self.latents, noise, settings, self.last)
        return blended if self.masks is None else whole * (1 - self.masks) + blended * self.masks


def check_start(image: ImageSettings, plan: Plan, source: ClipSource) -> None:
    """ParameterError where what is said of the start does not go together, or leaves nothing to sample."""
    has_last = plan.parameters.init.last_frame is not None
    if source.frames is not None and (image.init_image is not None or has_last):
        name = "init_image" if image.init_image is not None else "last_frame"
        raise ParameterError(
            f"{name} and a source video are both given, but a clip starts from one of them: leave one out."
        )
    if has_last and image.init_image is None:
        raise ParameterError("last_frame is given without init_image: give the picture to begin with, too.")
    if not starts_from_pictures(image, source):
        if source.masks is not None:
            raise ParameterError(
                "mask_path is given, but there is nothing that stays outside of it: give a video_source, "
                "video_path or init_image, too, and a denoising_strength where a ControlNet follows it."
            )
        return
    if sampled_steps(image, source) == 0:
        raise ParameterError(
            f"denoising_strength is {image.strength:g}, which leaves none of {image.steps} steps: raise one "
            "of them."
        )


def motion_picture(plan: Plan, image: ImageSettings) -> Image.Image | None:
    """The picture that a motion module animates, if one does: the one for it, or the one to begin with."""
    return plan.parameters.motion.picture or image.init_image


def start_source(image: ImageSettings, source: ClipSource, *, is_followed: bool) -> ClipSource:
    """What a clip starts from, of its source: none of its frames where a network follows them, unless a
    denoising strength says how much of them is to stay."""
    is_control = is_followed and image.denoising_strength is None
    return replace(source, frames=None) if is_control else source


def starts_from_pictures(image: ImageSettings, source: ClipSource) -> bool:
    """Whether the clip starts from anything but noise."""
    return source.frames is not None or image.init_image is not None


def sampled_steps(image: ImageSettings, source: ClipSource) -> int:
    """How many of the steps are sampled: with a start, the last ones, as the denoising strength says."""
    return int(image.steps * image.strength) if starts_from_pictures(image, source) else image.steps


@dataclass(frozen=True)
class StartEncoder:
    """Turns pictures into latents, one at a time; `size` is width and height in pixels."""

    pipeline: Pipeline
    device: torch.device
    size: tuple[int, int]
    is_stopped: Callable[[], bool]

    def encode(self, plan: Plan, image: ImageSettings, source: ClipSource) -> Start | None:
        """The start of a clip, None where that is noise. Raises NotFiniteError, and UserError where somebody
        stops it meanwhile."""
        if not starts_from_pictures(image, source):
            return None
        frames = range(plan.num_frames)
        last_frame = plan.parameters.init.last_frame
        pictures = source.read_frames(frames) if image.init_image is None else iter([image.init_image])
        latents = torch.cat(list(self._latents(pictures)))
        last = None if last_frame is None else self.encode_picture(last_frame)
        masks = None if source.masks is None else torch.cat(list(self._masks(source.read_masks(frames))))
        return Start(latents, image.strength, last, masks)

    def encode_picture(self, picture: Image.Image) -> torch.Tensor:
        """Its latents `1 c h w`. Raises NotFiniteError."""
        return torch.cat(list(self._latents([picture])))

    def _latents(self, pictures: Iterable[Image.Image]) -> Iterator[torch.Tensor]:
        for picture in pictures:
            if self.is_stopped():
                raise UserError("Stopped while the source was read: nothing was made yet.")
            yield encode_frame(self.pipeline.vae, fitted(picture, self.size), self.device)

    def _masks(self, masks: Iterable[Image.Image]) -> Iterator[torch.Tensor]:
        factor = self.pipeline.vae_scale_factor
        size = self.size[0] // factor, self.size[1] // factor
        for mask in masks:
            light = fitted(mask, self.size).convert("L").resize(size, Image.Resampling.BOX)
            yield as_rows(light)[None, None]
