"""Put a motion module's layers behind the submodules of a UNet that they continue, by forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import cast

from torch import Tensor, nn

from motion_module.errors import MotionModuleError
from motion_module.module import MotionModule
from motion_module.unets import check_fit, describe_unet


@contextmanager
def injected(unet: nn.Module, module: MotionModule) -> Generator[None]:
    """Inside, the UNet animates; run it within `module.frames(...)`. Nothing of the UNet is changed."""
    layout = describe_unet(unet)
    check_fit(layout, module.spec, module.name)
    with ExitStack() as hooks:
        for site, layer in module.layers().items():
            hooks.callback(layout.sites[site].register_forward_hook(_continue_with(layer)).remove)
        yield


def _continue_with(layer: nn.Module) -> Callable[[nn.Module, object, object], object]:
    """A forward hook that passes the output on through the layer; diffusers' transformers return a tuple."""

    def continue_output(_module: nn.Module, _args: object, output: object) -> object:
        if isinstance(output, Tensor):
            return layer(output)
        if isinstance(output, tuple):
            hidden, *rest = cast("tuple[object, ...]", output)
            return (layer(hidden), *rest)
        raise MotionModuleError(
            f"A block of the UNet returned a {type(output).__name__} where a tensor or a tuple was expected: "
            "call the UNet with its usual arguments."
        )

    return continue_output
