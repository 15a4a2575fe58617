"""What a file of CameraCtrl is, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from motion_module.spec import BaseModel, MotionModuleSpec, Site

LAYERS_PER_LEVEL = 2
"""Of the encoder; and of temporal layers on a UNet's way down, where there is one more on its way up."""


@dataclass(frozen=True)
class CameraSpec:
    """widths: channels of the UNet's levels, the finest first. num_positions: the most frames at once."""

    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    num_positions: int = 16
    family: str = "CameraCtrl"
    made_for: str = "AnimateDiff v3"

    @property
    def base_model(self) -> BaseModel | None:
        """The image model whose motion modules it was made for."""
        return BaseModel.of_levels(len(self.widths))

    @property
    def context_length(self) -> int:
        """Frames at once that it was trained with."""
        return self.num_positions

    @property
    def max_context_length(self) -> int:
        """The most frames at once."""
        return self.num_positions

    def sites(self) -> Iterator[tuple[Site, int]]:
        """Every site whose temporal layer is told of the camera, with its number of channels."""
        return MotionModuleSpec(widths=self.widths, layers_per_block=LAYERS_PER_LEVEL).sites()

    def level_of(self, site: Site) -> int:
        """The encoder's level whose features a site is told."""
        return site.level if site.block == "down_blocks" else len(self.widths) - 1 - site.level
