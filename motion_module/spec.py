"""What a motion module is and what it wants, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from motion_module.schedules import BetaSchedule

BlockName = Literal["down_blocks", "mid_block", "up_blocks"]

NORM_GROUPS = 32
"""Of every temporal layer's GroupNorm, so that widths are multiples of it."""


class BaseModel(Enum):
    """The image models that motion modules exist for."""

    SD15 = "SD1.5"
    SDXL = "SDXL"

    @property
    def num_levels(self) -> int:
        """Resolutions of its UNet."""
        return NUM_LEVELS[self]

    @staticmethod
    def of_levels(num_levels: int) -> BaseModel | None:
        """The one whose UNet has so many resolutions; None where there is none."""
        return next((model for model, levels in NUM_LEVELS.items() if levels == num_levels), None)


NUM_LEVELS = {BaseModel.SD15: 4, BaseModel.SDXL: 3}
"""What tells base models apart, in a UNet as in a file: how many resolutions there are layers for."""


@dataclass(frozen=True)
class Site:
    """One place in a UNet that a temporal layer belongs to: `{block}.{level}.motion_modules.{layer}`."""

    block: BlockName
    level: int
    layer: int

    @property
    def name(self) -> str:
        """The site's prefix in the official format."""
        level = "" if self.block == "mid_block" else f".{self.level}"
        return f"{self.block}{level}.motion_modules.{self.layer}"


@dataclass(frozen=True)
class MotionModuleSpec:
    """A motion module's layout and wishes; the defaults are AnimateDiff v3's.

    family: whose kind it is, by name. base_model: the image model it was trained for.

    The layout. widths: channels of the UNet's levels, the finest first. layers_per_block: temporal layers of
    a down level; an up level has one more. has_mid_block, has_up_blocks: whether those blocks of the UNet
    have temporal layers. num_heads: of each attention. num_transformer_blocks: in each temporal layer.
    num_attention_blocks: in each of its transformer blocks. stored_positions: whether the file holds the
    position encodings, or they are computed. conv_in_channels: of PIA's input convolution; 0
    without one. has_picture_encoder: whether AnimateLCM-I2V's encoder of a picture is there.

    The wishes. context_length: the frames at once that it moves best. max_context_length: the most frames at
    once, for which there are position encodings. video_group_norm: whether the UNet's residual blocks must
    normalise across the frames of a clip. beta_schedule: what the whole run's sigmas must be made from.
    advice: what else to set, in words.
    """

    family: str = "AnimateDiff v3"
    base_model: BaseModel = BaseModel.SD15
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    has_mid_block: bool = False
    has_up_blocks: bool = True
    num_heads: int = 8
    num_transformer_blocks: int = 1
    num_attention_blocks: int = 2
    stored_positions: bool = True
    conv_in_channels: int = 0
    has_picture_encoder: bool = False
    context_length: int = 16
    max_context_length: int = 32
    video_group_norm: bool = False
    beta_schedule: BetaSchedule = BetaSchedule.LINEAR
    advice: str = ""

    @property
    def takes_picture(self) -> bool:
        """Whether it animates a picture that is shown to it."""
        return self.conv_in_channels > 0 or self.has_picture_encoder

    def sites(self) -> Iterator[tuple[Site, int]]:
        """Every site with its number of channels, in the order of the UNet's forward pass."""
        for level, width in enumerate(self.widths):
            for layer in range(self.layers_per_block):
                yield Site("down_blocks", level, layer), width
        if self.has_mid_block:
            yield Site("mid_block", 0, 0), self.widths[-1]
        if self.has_up_blocks:
            for level, width in enumerate(reversed(self.widths)):
                for layer in range(self.layers_per_block + 1):
                    yield Site("up_blocks", level, layer), width


SPARSECTRL = MotionModuleSpec(family="SparseCtrl encoder", has_up_blocks=False, num_attention_blocks=1)
"""The temporal layers of a SparseCtrl encoder, for the ControlNet extension that runs it."""
