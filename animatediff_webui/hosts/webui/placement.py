"""Where a motion module is while it runs: on the host's device, whole or layer by layer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import torch

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
    """Inside, a layer of which anything is not where its input is comes there to run, and goes afterwards."""
    brought: set[torch.nn.Module] = set()

    # What a hook returns would replace inputs or outputs, so these return nothing.
    def bring(layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        device = inputs[0].device
        if any(tensor.device != device for tensor in chain(layer.parameters(), layer.buffers())):
            brought.add(layer)
            layer.to(device)

    def take_back(layer: torch.nn.Module, inputs: object, output: object) -> None:
        if layer in brought:
            brought.remove(layer)
            layer.to("cpu")

    with ExitStack() as stack:
        for layer in module.running_parts():
            stack.callback(layer.register_forward_pre_hook(bring).remove)
            stack.callback(layer.register_forward_hook(take_back).remove)
        try:
            yield
        finally:
            for layer in brought:  # it raised
                layer.to("cpu")
