"""Where things are in a UNet: ldm-style (WebUI, sgm, Forge) or diffusers, told apart by their attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from motion_module.errors import IncompatibleBaseModelError
from motion_module.spec import BaseModel, Site

# UNets come from hosts whose classes this package may not import, so they are Any here and nowhere else.


@dataclass(frozen=True)
class UNetLayout:
    """sites: the submodule each site continues; group_norms: those of the residual blocks and the last."""

    widths: tuple[int, ...]
    sites: dict[Site, nn.Module]
    group_norms: tuple[nn.Module, ...]

    @property
    def base_model(self) -> BaseModel:
        for base_model in BaseModel:
            if base_model.num_levels == len(self.widths):
                return base_model
        raise IncompatibleBaseModelError(
            f"This UNet has {len(self.widths)} levels, but those that motion modules exist for have 4 "
            "(SD1.5) or 3 (SDXL): choose an SD1.5 or SDXL checkpoint."
        )


def describe_unet(unet: nn.Module) -> UNetLayout:
    """Find the sites of a UNet; IncompatibleBaseModelError where it is none that is known."""
    if all(hasattr(unet, name) for name in ("input_blocks", "middle_block", "output_blocks", "out")):
        return _describe_ldm(unet)
    if all(hasattr(unet, name) for name in ("down_blocks", "mid_block", "up_blocks", "conv_norm_out")):
        return _describe_diffusers(unet)
    raise IncompatibleBaseModelError(
        f"A {type(unet).__name__} has neither the blocks of an ldm-style UNet (input_blocks, middle_block, "
        "output_blocks) nor those of a diffusers one (down_blocks, mid_block, up_blocks): use SD1.5 or SDXL."
    )


def detect_base_model(unet: nn.Module) -> BaseModel:
    """Whether the UNet is SD1.5's or SDXL's, by the number of its levels."""
    return describe_unet(unet).base_model


def _describe_ldm(unet: Any) -> UNetLayout:
    """`input_blocks` starts with a convolution, and each level but the last ends with a Downsample."""
    inputs, outputs = list(unet.input_blocks), list(unet.output_blocks)
    num_levels = 1 + sum(not hasattr(sequential[0], "in_layers") for sequential in inputs[1:])
    layers = len(inputs) // num_levels - 1
    starts = [1 + level * (layers + 1) for level in range(num_levels)]
    sites: dict[Site, nn.Module] = {Site("mid_block", 0, 0): unet.middle_block[-2]}
    for level, start in enumerate(starts):
        sites |= {Site("down_blocks", level, layer): inputs[start + layer][-1] for layer in range(layers)}
        for layer in range(layers + 1):
            last = -2 if layer == layers and level < num_levels - 1 else -1  # before the Upsample
            sites[Site("up_blocks", level, layer)] = outputs[level * (layers + 1) + layer][last]
    blocks = (child for sequential in (*inputs, unet.middle_block, *outputs) for child in sequential)
    resnets = [block for block in blocks if hasattr(block, "in_layers") and hasattr(block, "out_layers")]
    norms = [norm for resnet in resnets for norm in (resnet.in_layers[0], resnet.out_layers[0])]
    return UNetLayout(tuple(inputs[start][0].out_channels for start in starts), sites, (*norms, unet.out[0]))


def _describe_diffusers(unet: Any) -> UNetLayout:
    sites: dict[Site, nn.Module] = {}
    for name in ("down_blocks", "up_blocks"):
        for level, block in enumerate(getattr(unet, name)):
            continued: Iterable[nn.Module] = getattr(block, "attentions", block.resnets)
            sites |= {Site(name, level, layer): module for layer, module in enumerate(continued)}
    sites |= {Site("mid_block", 0, layer): module for layer, module in enumerate(unet.mid_block.attentions)}
    blocks = (*unet.down_blocks, unet.mid_block, *unet.up_blocks)
    norms = [norm for block in blocks for resnet in block.resnets for norm in (resnet.norm1, resnet.norm2)]
    widths = tuple(block.resnets[0].out_channels for block in unet.down_blocks)
    return UNetLayout(widths, sites, (*norms, unet.conv_norm_out))
