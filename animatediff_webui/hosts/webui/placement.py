"""Where a motion module is while it runs: on the host's device, whole or layer by layer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from motion_module.placeable import Placeable


@contextmanager
def on_device(
    module: Placeable, device: torch.device, *, layer_by_layer: bool = False, keep: bool = True
) -> Generator[None, None, None]:
    """Inside, the module runs on `device`: whole, or, for hosts that do so, only the layer that runs.

    Afterwards it stays there if `keep`.
    """
    if layer_by_layer:
        module.to("cpu")
        with whole_layers(module):
            yield
        return
    module.to(device)
    try:
        yield
    finally:
        if not keep:
            module.to("cpu")


@contextmanager
def whole_layers(module: Placeable) -> Generator[None, None, None]:
    """Inside, what of a layer is not where its input is comes there for it to run, and goes afterwards.

    What is there already stays: hosts that are short of memory know of some kinds of weights alone.
    """
    brought: dict[nn.Module, list[nn.Module]] = {}

    # What a hook returns would replace inputs or outputs, so these return nothing.
    def bring(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        device = inputs[0].device
        parts = [part for part in layer.modules() if _lies_elsewhere(part, device)]
        if parts:
            brought[layer] = parts
            for part in parts:
                part.to(device)

    def take_back(layer: nn.Module, inputs: object, output: object) -> None:
        for part in brought.pop(layer, ()):
            part.to("cpu")

    with ExitStack() as stack:
        for layer in module.running_parts():
            stack.callback(layer.register_forward_pre_hook(bring).remove)
            stack.callback(layer.register_forward_hook(take_back).remove)
        try:
            yield
        finally:
            for part in chain.from_iterable(brought.values()):  # it raised
                part.to("cpu")


def _lies_elsewhere(part: nn.Module, device: torch.device) -> bool:
    """Whether a tensor of this very part, not of those within it, is on another device."""
    own = chain(part.parameters(recurse=False), part.buffers(recurse=False))
    return any(tensor.device != device for tensor in own)
