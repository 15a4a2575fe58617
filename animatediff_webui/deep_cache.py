"""DeepCache (Ma, Fang and Wang, arXiv 2312.00858): what a UNet's deep layers make changes little from step to
step, so most steps can do with what an earlier one made, and compute the layers at the latents' size alone.

Its authors' package is for diffusers' pipelines of single pictures. Here features are kept by frame, because
windows move from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from motion_module.unets import describe_unet

if TYPE_CHECKING:
    from animatediff_webui.core.windows import Window
    from motion_module.module import MotionModule

Forward = Callable[..., object]


@dataclass
class _Features:
    """What comes out of the deep layers for each frame, `g f c h w`, and the step that computed it."""

    step: int
    values: Tensor | None = None

    def keep(self, computed: Tensor, frames: Sequence[int], num_groups: int, num_frames: int) -> None:
        """Remember a window's rows, `(g f) c h w`."""
        groups = computed.unflatten(0, (num_groups, len(frames)))
        if self.values is None:
            self.values = groups.new_empty((num_groups, num_frames, *groups.shape[2:]))
        for place, frame in enumerate(frames):
            self.values[:, frame] = groups[:, place]

    def of(self, frames: Sequence[int]) -> Tensor:
        """The rows of a window."""
        if self.values is None:
            raise RuntimeError("Deep features were asked for before any were computed.")
        return self.values[:, list(frames)].flatten(0, 1)


class DeepCache:
    """Which steps compute the deep layers, one in `interval`, and what these made for each of `num_frames`.

    A sampler that calls the model several times in a step, or with the prompts in calls of their own, has
    features for each of these calls. They are kept where the UNet runs.
    """

    def __init__(self, interval: int, num_frames: int) -> None:
        self._interval, self._num_frames = interval, num_frames
        self._share, self._step, self._call = 0.0, 0, -1
        self._kept: dict[tuple[int, int], _Features] = {}
        self._skips = False
        self._window: tuple[Sequence[int], int] = (), 1
        self._outputs: dict[nn.Module, tuple[torch.Size, torch.dtype]] = {}

    def begin(self, window: Window, share: float, num_groups: int) -> None:
        """Before a call of the UNet with a window's rows, `(g f)`, where this share of sampling is done."""
        if share < self._share:  # another pass, from noise again
            self._kept.clear()
        if share != self._share:
            self._share, self._step, self._call = share, self._step + 1, -1
        if window.number == 0:
            self._call += 1
            self._decide(num_groups)
        self._window = window.frames, num_groups

    def _decide(self, num_groups: int) -> None:
        """Whether this call of all windows does without the deep layers."""
        features = self._kept.get((self._call, num_groups))
        self._skips = features is not None and self._step - features.step < self._interval
        if not self._skips:
            self._kept[self._call, num_groups] = _Features(self._step)

    @contextmanager
    def used(self, unet: nn.Module, modules: Sequence[MotionModule] = ()) -> Generator[None, None, None]:
        """Inside, calls of the UNet, each after `begin`, skip what they can, temporal layers included."""
        with ExitStack() as stack:
            if self._interval > 1:
                layout = describe_unet(unet)
                *deep, last = layout.deep_layers
                for layer in deep:
                    stack.enter_context(_replaced_forward(layer, self._standing_in(layer)))
                stack.enter_context(_replaced_forward(last, self._keeping))
                places = set(layout.deep_layers)
                for module in modules:
                    for site, layer in module.layers().items():
                        if layout.sites[site] in places:
                            stack.enter_context(_replaced_forward(layer, self._passing))
            stack.callback(self._kept.clear)
            yield

    def _standing_in(self, layer: nn.Module) -> Callable[[Forward], Forward]:
        """Zeros of the layer's size, which nobody looks at, where it is skipped."""

        def wrap(forward: Forward) -> Forward:
            def run(hidden: Tensor, *args: object, **kwargs: object) -> object:
                if self._skips:
                    size, dtype = self._outputs[layer]
                    zeros = torch.zeros((len(hidden), *size), dtype=dtype, device=hidden.device)
                    return (zeros,) if kwargs.get("return_dict") is False else zeros
                output = forward(hidden, *args, **kwargs)
                first = cast("Tensor", output[0] if isinstance(output, tuple) else output)
                self._outputs[layer] = first.shape[1:], first.dtype
                return output

            return run

        return wrap

    def _keeping(self, forward: Forward) -> Forward:
        """What the last of the deep layers made in an earlier step, where they are skipped."""

        def run(hidden: Tensor, *args: object, **kwargs: object) -> object:
            frames, num_groups = self._window
            features = self._kept[self._call, num_groups]
            if self._skips:
                return features.of(frames)
            computed = cast("Tensor", forward(hidden, *args, **kwargs))
            features.keep(computed, frames, num_groups, self._num_frames)
            return computed

        return run

    def _passing(self, forward: Forward) -> Forward:
        """A temporal layer that leaves what it is given where it is skipped."""

        def run(hidden: Tensor, *args: object, **kwargs: object) -> object:
            return hidden if self._skips else forward(hidden, *args, **kwargs)

        return run


@contextmanager
def _replaced_forward(layer: nn.Module, wrap: Callable[[Forward], Forward]) -> Generator[None, None, None]:
    """Inside, the layer runs otherwise; whoever has replaced it, too, keeps that."""
    before, replacement = vars(layer).get("forward"), wrap(layer.forward)
    layer.forward = replacement
    try:
        yield
    finally:
        if vars(layer).get("forward") is replacement:
            del layer.forward
            if before is not None:
                layer.forward = before
