"""What a motion module is and what it wants, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from motion_module.schedules import BetaSchedule

BlockName = Literal["down_blocks", "mid_block", "up_blocks"]


class BaseModel(Enum):
    """The image models that motion modules exist for."""

    SD15 = "SD1.5"
    SDXL = "SDXL"

    @property
    def num_levels(self) -> int:
        """Resolutions of its UNet."""
        return 4 if self is BaseModel.SD15 else 3


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

    widths: channels of the UNet's levels, the finest first. layers_per_block: temporal layers of a down
    level; an up level has one more. max_frames: position encodings there are. stored_positions: whether the
    file holds them, or they are computed. video_group_norm: whether the UNet's residual blocks must normalise
    across the frames of a clip. beta_schedule: what the whole run's sigmas must be made from.
    conv_in_channels: of PIA's input convolution, which is kept but not run. advice: what else to set.
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
    max_frames: int = 32
    trained_frames: int = 16
    stored_positions: bool = True
    conv_in_channels: int = 0
    video_group_norm: bool = False
    beta_schedule: BetaSchedule = BetaSchedule.LINEAR
    advice: str = ""

    @property
    def context_limit(self) -> int:
        """The most frames one window may have."""
        return self.max_frames

    def sites(self) -> Iterator[tuple[Site, int]]:
        """Every site with its number of channels, in the order of the UNet's forward pass."""
        for level, width in enumerate(self.widths):
            yield from ((Site("down_blocks", level, layer), width) for layer in range(self.layers_per_block))
        if self.has_mid_block:
            yield Site("mid_block", 0, 0), self.widths[-1]
        if self.has_up_blocks:
            for level, width in enumerate(reversed(self.widths)):
                layers = range(self.layers_per_block + 1)
                yield from ((Site("up_blocks", level, layer), width) for layer in layers)
