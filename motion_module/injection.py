"""Put a motion module's layers behind the submodules of a UNet that they continue, by forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import cast

from torch import Tensor, nn

from motion_module.errors import IncompatibleBaseModelError, MotionModuleError
from motion_module.module import MotionModule
from motion_module.unets import UNetLayout, describe_unet


def check_base_model(layout: UNetLayout, module: MotionModule) -> None:
    """IncompatibleBaseModelError unless the module's layers fit the UNet."""
    spec, name = module.spec, module.name or module.spec.family
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


@contextmanager
def injected(unet: nn.Module, module: MotionModule) -> Generator[None]:
    """Inside, the UNet animates; run it within `module.frames(...)`. Nothing of the UNet is changed."""
    layout = describe_unet(unet)
    check_base_model(layout, module)
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
