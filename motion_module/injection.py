"""Put a motion module's layers behind the submodules of a UNet that they continue, by forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import cast

from torch import Tensor, nn

from motion_module.errors import MotionModuleError
from motion_module.module import MotionModule
from motion_module.picture_input import PictureInput
from motion_module.spec import Site
from motion_module.unets import check_fit, describe_unet


@contextmanager
def injected(
    unet: nn.Module, module: MotionModule, strengths: Mapping[Site, float] | None = None
) -> Generator[None]:
    """Inside, the UNet animates; run it within `module.frames(...)`. Nothing of the UNet is changed.

    `strengths` are how much of what a site's layer adds counts, 1 where nothing is said. Modules that are
    injected later continue those that were injected before.
    """
    layout = describe_unet(unet)
    check_fit(layout, module.spec, module.name)
    with ExitStack() as hooks:
        hooks.callback(module.forget)
        if module.picture_input is not None:
            hook = _show_picture(module.picture_input)
            hooks.callback(layout.conv_in.register_forward_hook(hook).remove)
        for site, layer in module.layers().items():
            strength = 1.0 if strengths is None else strengths.get(site, 1.0)
            if strength:
                hook = _continue_with(partial(_run_layer, module, site, layer, strength))
                hooks.callback(layout.sites[site].register_forward_hook(hook).remove)
        yield


def _show_picture(picture_input: PictureInput) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """A forward hook of the UNet's first convolution, whose output it replaces."""
    return lambda _module, args, output: picture_input(args[0], output)


def _run_layer(module: MotionModule, site: Site, layer: nn.Module, strength: float, hidden: Tensor) -> Tensor:
    return layer(hidden, strength, module.picture_at(site, hidden))


def _continue_with(layer: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, object, object], object]:
    """A forward hook that passes the output on through the layer; diffusers' transformers return a tuple."""

    def continue_output(_module: nn.Module, _args: object, output: object) -> object:
        if isinstance(output, Tensor):
            return layer(output)
        if isinstance(output, tuple):
            hidden, *rest = cast("tuple[Tensor, ...]", output)
            return (layer(hidden), *rest)
        raise MotionModuleError(
            f"A block of the UNet returned a {type(output).__name__} where a tensor or a tuple was expected: "
            "call the UNet with its usual arguments."
        )

    return continue_output
