"""Where a motion module is while it runs: on the host's device, whole or layer by layer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from motion_module.module import MotionModule


@contextmanager
def on_device(
    module: MotionModule, device: torch.device, *, layer_by_layer: bool = False, keep: bool = True
) -> Generator[None, None, None]:
    """Inside, the module runs on `device`: whole, or, for hosts that do so, only the layer that runs.

    Afterwards it stays there if `keep`.
    """
    if not layer_by_layer:
        module.to(device)
        try:
            yield
        finally:
            if not keep:
                module.to("cpu")
        return
    module.to("cpu")
    hooks: list[RemovableHandle] = []
    try:
        for layer in module.layers().values():
            hooks.append(layer.register_forward_pre_hook(lambda layer, inputs: _moved(layer, device)))
            hooks.append(layer.register_forward_hook(lambda layer, inputs, output: _moved(layer, "cpu")))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        module.to("cpu")


def _moved(layer: torch.nn.Module, device: torch.device | str) -> None:
    """What a hook returns would replace inputs or outputs, so this returns nothing."""
    layer.to(device)
