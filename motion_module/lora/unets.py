"""The UNet part of a motion LoRA, or a domain adapter, on an ldm-style UNet."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module.errors import MotionModuleError
from motion_module.lora.weights import LowRank, MotionLora
from motion_module.spec import BlockName, Site
from motion_module.unets import UNetLayout, describe_unet

logger = logging.getLogger(__name__)
_ATTENTION = re.compile(
    r"(?P<block>down_blocks|mid_block|up_blocks)(?:\.(?P<level>\d+))?\.attentions\.(?P<layer>\d+)\.(?P<rest>.+)"
)

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]


@contextmanager
def unet_loras(
    unet: nn.Module, loras: Iterable[tuple[MotionLora, float | Sequence[float]]]
) -> Generator[None]:
    """Inside, the LoRAs' UNet parts act, by forward hooks that add to the layers' outputs.

    Strengths by frame act at their mean: the UNet's own layers do not know frames. MotionModuleError where a
    layer takes or gives other numbers of channels.
    """
    with ExitStack() as hooks:
        for lora, strength in loras:
            if not lora.spatial:
                continue
            mean = float(torch.as_tensor(strength, dtype=torch.float32).mean())
            for name, layer in _find_layers(unet, lora).items():
                hook = _build_hook(layer, lora.spatial[name], mean)
                hooks.callback(layer.register_forward_hook(hook).remove)
        yield


def _find_layers(unet: nn.Module, lora: MotionLora) -> Mapping[str, nn.Module]:
    """The layers that a LoRA changes, by its names; what the UNet lacks is left out, with a warning."""
    layout = describe_unet(unet)
    layers: dict[str, nn.Module] = {}
    missing: list[str] = []
    for name, delta in lora.spatial.items():
        layer = _find_layer(layout, name)
        if layer is None:
            missing.append(name)
        else:
            _check_fits(layer, delta, name, lora.name)
            layers[name] = layer
    if missing:
        logger.warning(
            "LoRA %s changes %d layers that this checkpoint lacks, such as %s: they are left out.",
            lora.name,
            len(missing),
            missing[0],
        )
    return layers


def _find_layer(layout: UNetLayout, name: str) -> nn.Module | None:
    """The layer of a diffusers name. What a site continues is its spatial transformer, where it has one."""
    match = _ATTENTION.fullmatch(name)
    if match is None:
        return None
    site = Site(cast(BlockName, match["block"]), int(match["level"] or 0), int(match["layer"]))
    transformer = layout.sites.get(site)
    try:
        return None if transformer is None else transformer.get_submodule(match["rest"])
    except AttributeError:
        return None


def _check_fits(layer: nn.Module, delta: LowRank, name: str, lora: str) -> None:
    weight = layer.weight
    if isinstance(weight, Tensor) and not weight.is_floating_point():
        return  # quantised: its shape is that of the packed numbers
    expected = tuple(weight.shape) if isinstance(weight, Tensor) else ()
    shape = (delta.up.shape[0], delta.down.flatten(1).shape[1])
    if expected[:2] != shape:
        raise MotionModuleError(
            f"LoRA {lora} takes {name} from {shape[1]} to {shape[0]} channels, but this checkpoint's is "
            f"{expected}: use it with the kind of checkpoint it was made for."
        )


def _build_hook(layer: nn.Module, delta: LowRank, strength: float) -> Hook:
    down, up = delta.down.flatten(1), delta.up.flatten(1)
    scale = strength * delta.scale

    def add_to_tokens(_layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        hidden = args[0].to(output)
        return output + scale * F.linear(F.linear(hidden, down.to(output)), up.to(output))

    def add_to_pixels(_layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        low = F.conv2d(args[0].to(output), down.to(output)[..., None, None])
        return output + scale * F.conv2d(low, up.to(output)[..., None, None])

    return add_to_pixels if isinstance(layer, nn.Conv2d) else add_to_tokens
