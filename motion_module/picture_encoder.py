"""AnimateLCM-I2V's way of showing a picture to a UNet (Wang et al., arXiv 2402.00769).

What an encoder makes of it is added to the hidden states of each level on the way down, before the level's
last temporal layer.
"""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module.autocast import without_autocast
from motion_module.errors import MotionModuleError
from motion_module.layers import Conv2d
from motion_module.positions import build_positions
from motion_module.runtime import Runtime

LATENT_CHANNELS = 4
BLOCKS_PER_LEVEL = 2
MOTION = 0.8
"""How much the frames' positions count beside the picture, as published."""


class ResidualBlock(nn.Module):
    """Adds to `f c h w` what two convolutions make of it, after one that changes its width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        if in_channels != out_channels:
            self.in_conv = Conv2d(in_channels, out_channels, kernel_size=1)
        self.changes_width = in_channels != out_channels
        self.block1 = Conv2d(out_channels, out_channels, kernel_size=3)
        self.block2 = Conv2d(out_channels, out_channels, kernel_size=1)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.in_conv(hidden) if self.changes_width else hidden
        return hidden + self.block2(F.relu(self.block1(hidden)))


class PictureEncoder(nn.Module):
    """The picture's latents `1 c h w` to what each level of the UNet is shown in each frame, `f c h w`."""

    def __init__(self, widths: Sequence[int], runtime: Runtime) -> None:
        super().__init__()
        self.conv_in = Conv2d(LATENT_CHANNELS, widths[0], kernel_size=3)
        before = [widths[0], *widths[:-1]]
        self.body = nn.ModuleList()
        for in_channels, out_channels in zip(before, widths, strict=True):
            self.body.append(ResidualBlock(in_channels, out_channels))
            self.body.extend(ResidualBlock(out_channels, out_channels) for _ in range(BLOCKS_PER_LEVEL - 1))
        self.runtime = runtime

    def forward(self, latents: Tensor, num_frames: int) -> list[Tensor]:
        if self.conv_in.weight.device != latents.device:
            self.to(latents.device)
        hidden = self.conv_in(latents)
        positions = build_positions(num_frames, hidden.shape[1]).to(hidden)
        hidden = hidden + MOTION * rearrange(positions, "1 f c -> f c 1 1")
        levels: list[Tensor] = []
        for number, block in enumerate(self.body):
            if number and number % BLOCKS_PER_LEVEL == 0:
                hidden = halved(hidden)
            hidden = block(hidden)
            if number % BLOCKS_PER_LEVEL == BLOCKS_PER_LEVEL - 1:
                levels.append(hidden)
        return levels

    def at(self, level: int, hidden: Tensor) -> Tensor:
        """What hidden states `(b f) c h w` of a level are shown; MotionModuleError without a picture."""
        picture, num_frames = self.runtime.control.picture, self.runtime.count_frames(hidden)
        if picture is None:
            raise MotionModuleError("AnimateLCM-I2V animates a picture, but there is none: give one.")
        weight = self.conv_in.weight
        height, width = hidden.shape[2:]
        key = (num_frames, height << level, width << level, weight.dtype, hidden.device)
        if key not in picture.encoded:
            with without_autocast(hidden.device):
                latents = fitted(picture.latents.to(hidden.device, weight.dtype), level, hidden)
                picture.encoded[key] = self(latents, num_frames)
        shown = picture.encoded[key][level].to(hidden.dtype)
        return repeat(shown, "f c h w -> (b f) c h w", b=len(hidden) // num_frames)


def halved(hidden: Tensor) -> Tensor:
    """Half the size, rounded up, as a UNet's levels are."""
    height, width = hidden.shape[2:]
    return F.avg_pool2d(F.pad(hidden, (0, width % 2, 0, height % 2), mode="replicate"), 2)


def fitted(latents: Tensor, level: int, hidden: Tensor) -> Tensor:
    """The latents, stretched where their size is not that which the UNet has halved `level` times."""
    sizes = tuple(-(-side // 2**level) for side in latents.shape[2:])
    if sizes == tuple(hidden.shape[2:]):
        return latents
    height, width = hidden.shape[2:]
    return F.interpolate(latents, (height << level, width << level), mode="bilinear")
