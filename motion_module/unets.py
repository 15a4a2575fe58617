"""Where things are in a UNet: ldm-style (WebUI, sgm, Forge) or diffusers, told apart by their attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard, cast

from torch import nn

from motion_module.errors import IncompatibleBaseModelError
from motion_module.spec import BaseModel, BlockName, MotionModuleSpec, Site

# UNets come from hosts whose classes this package may not import: these protocols name what is used of them.


class _HasWidth(Protocol):
    """A residual block of either UNet, or the first convolution."""

    out_channels: int


class _LdmResBlock(Protocol):
    in_layers: Sequence[nn.Module]
    out_layers: Sequence[nn.Module]


class _LdmUNet(Protocol):
    input_blocks: Iterable[Sequence[nn.Module]]
    middle_block: Sequence[nn.Module]
    output_blocks: Iterable[Sequence[nn.Module]]
    out: Sequence[nn.Module]


class _DiffusersResnet(Protocol):
    norm1: nn.Module
    norm2: nn.Module
    out_channels: int


class _DiffusersBlock(Protocol):
    """`attentions`, which some blocks lack, is asked for by name."""

    resnets: Sequence[_DiffusersResnet]


class _DiffusersUNet(Protocol):
    conv_in: nn.Module
    down_blocks: Sequence[_DiffusersBlock]
    mid_block: _DiffusersBlock
    up_blocks: Sequence[_DiffusersBlock]
    conv_norm_out: nn.Module


@dataclass(frozen=True)
class UNetLayout:
    """conv_in: the first convolution; sites: the submodule each site continues; group_norms: those of the
    residual blocks and the last; deep_layers: what runs, one after the other, at less than the latents' size,
    with the changes of size from and to it."""

    conv_in: nn.Module
    widths: tuple[int, ...]
    sites: dict[Site, nn.Module]
    group_norms: tuple[nn.Module, ...]
    deep_layers: tuple[nn.Module, ...]

    @property
    def base_model(self) -> BaseModel:
        base_model = BaseModel.of_levels(len(self.widths))
        if base_model is None:
            raise IncompatibleBaseModelError(
                f"This UNet has {len(self.widths)} levels, but those that motion modules exist for have 4 "
                "(SD1.5) or 3 (SDXL): choose an SD1.5 or SDXL checkpoint."
            )
        return base_model


def describe_unet(unet: nn.Module) -> UNetLayout:
    """Find the sites of a UNet; IncompatibleBaseModelError where it is none that is known."""
    if _is_ldm(unet):
        return _describe_ldm(unet)
    if _is_diffusers(unet):
        return _describe_diffusers(unet)
    raise IncompatibleBaseModelError(
        f"A {type(unet).__name__} has neither the blocks of an ldm-style UNet (input_blocks, middle_block, "
        "output_blocks) nor those of a diffusers one (down_blocks, mid_block, up_blocks): use SD1.5 or SDXL."
    )


def detect_base_model(unet: nn.Module) -> BaseModel:
    """Whether the UNet is SD1.5's or SDXL's, by the number of its levels."""
    return describe_unet(unet).base_model


def check_fit(layout: UNetLayout, spec: MotionModuleSpec, name: str = "") -> None:
    """IncompatibleBaseModelError unless a motion module's layers fit the UNet; `name` is the module's."""
    name = name or spec.family
    if layout.base_model is not spec.base_model:
        raise IncompatibleBaseModelError(
            f"Motion module {name} was made for {spec.base_model.value}, but the checkpoint is "
            f"{layout.base_model.value}: choose a motion module for {layout.base_model.value}, or an "
            f"{spec.base_model.value} checkpoint."
        )
    if layout.widths != spec.widths:
        raise IncompatibleBaseModelError(
            f"Motion module {name} was made for a UNet with {_join(spec.widths)} channels, but the "
            f"checkpoint's has {_join(layout.widths)}: choose a motion module made for this checkpoint."
        )
    missing = [site.name for site, _ in spec.sites() if site not in layout.sites]
    if missing:
        raise IncompatibleBaseModelError(
            f"Motion module {name} has a layer for {missing[0]}, but the checkpoint's UNet has none: "
            "choose a motion module that was made for this checkpoint."
        )


def _join(widths: tuple[int, ...]) -> str:
    return "-".join(map(str, widths))


def _is_ldm(unet: object) -> TypeGuard[_LdmUNet]:
    return _has(unet, "input_blocks", "middle_block", "output_blocks", "out")


def _is_diffusers(unet: object) -> TypeGuard[_DiffusersUNet]:
    return _has(unet, "conv_in", "down_blocks", "mid_block", "up_blocks", "conv_norm_out")


def _is_ldm_res_block(block: object) -> TypeGuard[_LdmResBlock]:
    return _has(block, "in_layers", "out_layers")


def _has(module: object, *names: str) -> bool:
    return all(hasattr(module, name) for name in names)


def _describe_ldm(unet: _LdmUNet) -> UNetLayout:
    """`input_blocks` starts with a convolution, and each level but the last ends with a Downsample."""
    inputs, outputs = list(unet.input_blocks), list(unet.output_blocks)
    sizes_changed = [sequential for sequential in inputs[1:] if not hasattr(sequential[0], "in_layers")]
    num_levels = 1 + len(sizes_changed)
    stride = len(inputs) // num_levels  # of a level in both lists: a down level's last changes the size
    sites = {Site("mid_block", 0, 0): unet.middle_block[-2]}
    for level in range(num_levels):
        down = inputs[1 + level * stride : level * stride + stride]
        sites |= _sites("down_blocks", level, [sequential[-1] for sequential in down])
        up = [sequential[-1] for sequential in outputs[level * stride : (level + 1) * stride]]
        if level < num_levels - 1:
            up[-1] = outputs[(level + 1) * stride - 1][-2]  # before the Upsample
        sites |= _sites("up_blocks", level, up)
    firsts = [cast(_HasWidth, inputs[1 + level * stride][0]) for level in range(num_levels)]
    norms = _ldm_norms([*inputs, unet.middle_block, *outputs])
    widths = tuple(first.out_channels for first in firsts)
    deep = [*inputs[stride:], unet.middle_block, *outputs[:-stride]]
    deep_layers = tuple(layer for sequential in deep for layer in sequential)
    return UNetLayout(inputs[0][0], widths, sites, (*norms, unet.out[0]), deep_layers)


def _ldm_norms(sequentials: Iterable[Sequence[nn.Module]]) -> list[nn.Module]:
    """Both of each residual block."""
    norms: list[nn.Module] = []
    for sequential in sequentials:
        for block in sequential:
            if _is_ldm_res_block(block):
                norms += (block.in_layers[0], block.out_layers[0])
    return norms


def _describe_diffusers(unet: _DiffusersUNet) -> UNetLayout:
    sites = _sites("mid_block", 0, _continued(unet.mid_block))
    for level, block in enumerate(unet.down_blocks):
        sites |= _sites("down_blocks", level, _continued(block))
    for level, block in enumerate(unet.up_blocks):
        sites |= _sites("up_blocks", level, _continued(block))
    norms: list[nn.Module] = []
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        for resnet in block.resnets:
            norms += (resnet.norm1, resnet.norm2)
    widths = tuple(block.resnets[0].out_channels for block in unet.down_blocks)
    first, *deeper = unet.down_blocks
    deep = [*_layers(first, "downsamplers")]
    for block in (*deeper, unet.mid_block, *list(unet.up_blocks)[:-1]):
        deep += _layers(block, "resnets", "attentions", "downsamplers", "upsamplers")
    return UNetLayout(unet.conv_in, widths, sites, (*norms, unet.conv_norm_out), tuple(deep))


def _layers(block: _DiffusersBlock, *kinds: str) -> list[nn.Module]:
    """Of those kinds, as far as the block has them."""
    found: list[nn.Module] = []
    for kind in kinds:
        found += cast("Iterable[nn.Module]", getattr(block, kind, None) or ())
    return found


def _continued(block: _DiffusersBlock) -> Iterable[nn.Module]:
    """What temporal layers continue: the transformers, or the residual blocks where there are none."""
    return cast("Iterable[nn.Module]", getattr(block, "attentions", block.resnets))


def _sites(block: BlockName, level: int, continued: Iterable[nn.Module]) -> dict[Site, nn.Module]:
    return {Site(block, level, layer): module for layer, module in enumerate(continued)}
