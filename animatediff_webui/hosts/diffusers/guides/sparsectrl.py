"""SparseCtrl (Guo et al., arXiv 2311.16933): pictures for some of a clip's frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from animatediff_webui.core.errors import ParameterError, UserError

from ..pixels import as_rows, fitted

if TYPE_CHECKING:
    from PIL import Image

    from ..pipelines import Config
    from .residuals import Residuals, UNetCall
    from .settings import IpAdapter, Network, SparseCtrl


class SparseNetwork(Protocol):
    """diffusers' SparseControlNetModel; `use_simplified_condition_embedding`: it takes latents, no pixels."""

    config: Config
    use_simplified_condition_embedding: bool

    def __call__(self, sample: Tensor, timestep: Tensor, **arguments: object) -> Residuals: ...


@dataclass(frozen=True, eq=False)
class ActiveSparseCtrl:
    """A SparseCtrl with its pictures, latents or pixels `k c h w`, and the frames that they are of."""

    network: SparseNetwork
    pictures: Tensor
    frames: Sequence[int]
    asked: Network
    is_for_one_window: ClassVar[bool] = True

    def residuals(self, call: UNetCall, weight: float) -> Residuals | None:
        """What it adds to a window's call; None for a window without a picture, which it knows nothing of."""
        if not set(call.frames) & set(self.frames):
            return None
        condition, mask = self._condition(call)
        return self.network(
            rearrange(call.sample, "(g f) c h w -> g c f h w", f=len(call.frames)),
            call.timestep,
            encoder_hidden_states=call.context,
            controlnet_cond=condition,
            conditioning_mask=mask,
            conditioning_scale=weight,
            return_dict=False,
        )

    def _condition(self, call: UNetCall) -> tuple[Tensor, Tensor]:
        """The pictures of a window's frames, `1 c f h w`, zero where there is none, and where there are any,
        `1 1 f h w`."""
        _, channels, height, width = self.pictures.shape
        condition = call.sample.new_zeros(1, channels, len(call.frames), height, width)
        mask = call.sample.new_zeros(1, 1, len(call.frames), height, width)
        for place, frame in enumerate(call.frames):
            if frame in self.frames:
                condition[0, :, place] = self.pictures[self.frames.index(frame)].to(call.sample)
                mask[0, :, place] = 1
        return condition, mask


@dataclass(frozen=True)
class PictureReader:
    """Makes of keyframes' pictures what a network takes; `size` is width and height in pixels, `encode` the
    VAE's, from a picture to `1 c h w`."""

    size: tuple[int, int]
    encode: Callable[[Image.Image], Tensor]

    def read(self, sparse: SparseCtrl, network: SparseNetwork) -> ActiveSparseCtrl:
        """The network with its pictures."""
        pictures = [fitted(picture.convert("RGB"), self.size) for picture in sparse.pictures.values()]
        if network.use_simplified_condition_embedding:
            rows = [self.encode(picture) for picture in pictures]
        else:
            rows = [rearrange(as_rows(picture), "h w c -> 1 c h w") for picture in pictures]
        return ActiveSparseCtrl(network, torch.cat(rows), tuple(sparse.pictures), sparse)


def check_keyframes(network: SparseCtrl | IpAdapter, num_frames: int) -> None:
    """ParameterError for a keyframe outside of the clip."""
    last = max(network.pictures)
    if last >= num_frames:
        raise ParameterError(
            f"Keyframe {last} of {network.title} {network.name} is past the last frame ({num_frames - 1}): "
            f"use 0 to {num_frames - 1}, or raise the number of frames."
        )


def check_context(sparse: SparseCtrl, network: nn.Module, context_length: int) -> None:
    """UserError where the network knows fewer frames at once than a window has."""
    most = cast("int", cast("SparseNetwork", network).config.get("motion_max_seq_length"))
    if context_length > most:
        raise UserError(
            f"SparseCtrl {sparse.name} knows {most} frames at once, but a window has {context_length}: set "
            f"batch_size to {most} or lower."
        )
