"""The spatial part of a motion LoRA, or a domain adapter, on an ldm-style UNet."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module import LowRank, MotionLora, Site
from motion_module.unets import UNetLayout, describe_unet

logger = logging.getLogger(__name__)
_ATTENTION = re.compile(r"(down_blocks|mid_block|up_blocks)(?:\.(\d+))?\.attentions\.(\d+)\.(.+)")


@contextmanager
def spatial_loras(
    unet: nn.Module, loras: Iterable[tuple[MotionLora, float | Sequence[float]]]
) -> Generator[None, None, None]:
    """Inside, the LoRAs' spatial parts act, by forward hooks that add to the layers' outputs.

    Strengths by frame act at their mean: the spatial layers do not know frames.
    """
    with ExitStack() as hooks:
        for lora, strength in loras:
            if not lora.spatial:
                continue
            mean = float(torch.as_tensor(strength, dtype=torch.float32).mean())
            layout = describe_unet(unet)
            layers = {name: _find_layer(layout, name) for name in lora.spatial}
            missing = [name for name, layer in layers.items() if layer is None]
            if missing:
                logger.warning(
                    "LoRA %s changes %d layers that this checkpoint lacks, such as %s: they are left out.",
                    lora.name,
                    len(missing),
                    missing[0],
                )
            for name, layer in layers.items():
                if layer is not None:
                    hook = _build_hook(layer, lora.spatial[name], mean)
                    hooks.callback(layer.register_forward_hook(hook).remove)
        yield


def _find_layer(layout: UNetLayout, name: str) -> nn.Module | None:
    """The layer of a diffusers name. What a site continues is its spatial transformer, where it has one."""
    found = _ATTENTION.fullmatch(name)
    if found is None:
        return None
    block: Any = found[1]
    transformer = layout.sites.get(Site(block, int(found[2] or 0), int(found[3])))
    try:
        return None if transformer is None else transformer.get_submodule(found[4])
    except AttributeError:
        return None


def _build_hook(layer: nn.Module, delta: LowRank, strength: float) -> Callable[..., Tensor]:
    down, up = (part.flatten(1) for part in (delta.down, delta.up))
    scale = strength * delta.scale

    def add(_layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        hidden = args[0].to(output)
        parts = (down.to(output), up.to(output))
        if isinstance(layer, nn.Conv2d):
            low = F.conv2d(hidden, parts[0][..., None, None])
            return output + scale * F.conv2d(low, parts[1][..., None, None])
        return output + scale * F.linear(F.linear(hidden, parts[0]), parts[1])

    return add
