"""How a clip is looked at: a camera for each frame, and the rays of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from motion_module.errors import MotionModuleError

ASPECT = 16 / 9
"""Width over height of the pictures that lenses are given for, as in RealEstate10K."""


@dataclass(frozen=True, eq=False)
class Cameras:
    """A camera for each frame, as in RealEstate10K; x is to the right, y down, z ahead.

    poses: `f 4 4`, from the world to the camera, in float64 on the CPU. lenses: `f 4`, the focal lengths and
    the centre, as shares of the width and the height of a picture of 16:9.
    """

    poses: Tensor
    lenses: Tensor

    def __post_init__(self) -> None:
        num_frames = len(self.poses)
        if self.poses.shape != (num_frames, 4, 4) or self.lenses.shape != (num_frames, 4) or not num_frames:
            raise MotionModuleError(
                f"Cameras of the shapes {tuple(self.poses.shape)} and {tuple(self.lenses.shape)} were given: "
                "give poses `f 4 4` and lenses `f 4`."
            )

    def of(self, frames: Sequence[int]) -> Cameras:
        """Those of some frames, by index."""
        if max(frames) >= len(self.poses):
            raise MotionModuleError(
                f"There are cameras for {len(self.poses)} frames, but frame {max(frames)} is asked for: give "
                "one for each frame."
            )
        return Cameras(self.poses[list(frames)], self.lenses[list(frames)])

    def rays(self, height: int, width: int, device: torch.device) -> Tensor:
        """Plücker coordinates (o x d, d) of each pixel's ray, `f 6 h w` in float32; the first camera's axes.

        o is where the camera is, d where the pixel looks, of length 1 (section 3.1 of the paper). Pictures of
        other proportions are cut out of those of 16:9.
        """
        to_first = (self.poses[0] @ self.poses.inverse()).float().to(device)
        looks = to_first[:, :3, :3] @ self._directions(height, width, device)
        places = to_first[:, :3, 3:].expand_as(looks)
        rays = torch.cat([torch.cross(places, looks, dim=1), looks], dim=1)
        return rearrange(rays, "f c (h w) -> f c h w", h=height)

    def _directions(self, height: int, width: int, device: torch.device) -> Tensor:
        """Where each pixel looks from its own camera, `f 3 (h w)`."""
        lenses = self.lenses.float().to(device)
        focal_x, focal_y, center_x, center_y = rearrange(lenses, "f lens -> lens f 1 1")
        x = torch.arange(width, device=device) + 0.5 - center_x * width
        y = torch.arange(height, device=device)[:, None] + 0.5 - center_y * height
        shape = (len(self.lenses), height, width)
        x = (x / (focal_x * max(width, height * ASPECT))).expand(shape)
        y = (y / (focal_y * max(height, width / ASPECT))).expand(shape)
        looks = torch.stack([x, y, torch.ones(shape, device=device)], dim=1)
        return F.normalize(rearrange(looks, "f c h w -> f c (h w)"), dim=1)
