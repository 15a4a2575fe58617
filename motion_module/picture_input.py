"""PIA's way of showing a picture to a UNet (Zhang et al., arXiv 2312.13964): a first layer of its own."""

from __future__ import annotations

import torch
from einops import repeat
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module.autocast import without_autocast
from motion_module.control import Picture
from motion_module.errors import MotionModuleError
from motion_module.layers import Projection
from motion_module.runtime import Runtime


class PictureInput(Projection):
    """Takes noisy latents, how alike each frame is to the picture, and the picture: `(b f) 4+1+4 h w`."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, in_channels: int, out_channels: int, runtime: Runtime) -> None:
        super().__init__(weight=(out_channels, in_channels, 3, 3), bias=(out_channels,))
        self.fan_in = in_channels * 3**2
        self.in_channels, self.runtime = in_channels, runtime

    def forward(self, hidden: Tensor, unseen: Tensor) -> Tensor:
        """The latents `(b f) c h w` as they are with the picture; `unseen` is what the UNet makes of them.

        h becomes h + effect (pia(h) - h), as in the module's other layers.
        """
        control = self.runtime.control
        if control.is_idle:
            return unseen
        if self.weight.device != hidden.device:
            self.to(hidden.device)
        with without_autocast(hidden.device):
            shown = self._with_picture(hidden).to(self.weight.dtype)
            seen = F.conv2d(shown, self.weight, self.bias, padding=1).to(hidden.dtype)
        if control.effect is None:
            return seen
        return unseen + control.effect.rows(unseen) * (seen - unseen)

    def _with_picture(self, hidden: Tensor) -> Tensor:
        picture = self.runtime.control.picture
        if picture is None:
            raise MotionModuleError("PIA animates a picture, but there is none: give one.")
        self.runtime.count_frames(hidden)
        conditions = _conditions(picture, hidden)
        times = len(hidden) // len(conditions)
        conditions = repeat(conditions, "f c h w -> (b f) c h w", b=times)
        if hidden.shape[1] + conditions.shape[1] != self.in_channels:
            raise MotionModuleError(
                f"PIA takes latents of {self.in_channels - conditions.shape[1]} channels, but this "
                f"checkpoint's have {hidden.shape[1]}, as those for inpainting have: choose another one."
            )
        return torch.cat([hidden, conditions], dim=1)


def _conditions(picture: Picture, hidden: Tensor) -> Tensor:
    """The affinity and the picture of each frame, `f 1+c h w`, of the size of `hidden`."""
    height, width = hidden.shape[2:]
    affinity = picture.affinity.over(height, width, hidden)[:, None].expand(-1, 1, height, width)
    latents = picture.latents.to(hidden)
    if latents.shape[2:] != hidden.shape[2:]:
        latents = F.interpolate(latents, (height, width), mode="bilinear")
    return torch.cat([affinity, latents.expand(len(affinity), -1, -1, -1)], dim=1)
