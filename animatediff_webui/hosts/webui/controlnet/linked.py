"""Networks that are linked to the UNet's patcher, as ControlNet and others do it in Forge and its relatives.

The host asks the first of them for the signals of a whole call, and hands these on to the model. Where that
goes window by window, so do they: the host gets a `Deferred` instead, which is asked for each window's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

import torch

from animatediff_webui.core.windows import Window
from animatediff_webui.hosts.webui.patched_unet import UnetPatcher
from animatediff_webui.hosts.webui.patches import replaced

Signals: TypeAlias = "Mapping[str, object] | None"


class LinkedControl(Protocol):
    """A network with its picture `f c h w`; `cond_hint` is derived of that, None where it has to be anew."""

    cond_hint_original: object
    cond_hint: object
    previous_controlnet: LinkedControl | None
    get_control: Callable[..., Signals]


@dataclass(frozen=True)
class Deferred:
    """Signals that are made when the rows of a window are there."""

    first: LinkedControl
    get_control: Callable[..., Signals]
    num_groups: int
    others: Sequence[object]

    def of_window(
        self, rows: torch.Tensor, times: torch.Tensor, cond: Mapping[str, object], options: object
    ) -> Signals:
        """Those for a window's rows, which the UNet's patches are told of by `options`."""
        # Some hosts put the options on the networks, others hand them on as an argument.
        for each in chain_of(self.first):
            if hasattr(each, "transformer_options"):
                setattr(each, "transformer_options", options)  # noqa: B010  (not all networks have it)
        others = [options if isinstance(each, Mapping) else each for each in self.others]
        return self.get_control(rows, times, dict(cond), self.num_groups, *others)


@dataclass(frozen=True)
class Deferring:
    """Takes the place of the first network's `get_control`."""

    first: LinkedControl
    get_control: Callable[..., Signals]

    def __call__(
        self, x: torch.Tensor, t: torch.Tensor, cond: object, num_groups: int, *others: object
    ) -> Deferred:
        return Deferred(self.first, self.get_control, num_groups, others)


@dataclass
class LinkedHint:
    """What a network reads of each frame: its picture, and how much it counts where, or in which frame."""

    control: LinkedControl
    num_frames: int

    def __post_init__(self) -> None:
        self._whole = {
            name: value for name in _PER_FRAME if self._has_frames(value := getattr(self.control, name, None))
        }
        self._shown: tuple[int, ...] | None = None

    def show(self, window: Window, num_groups: int) -> None:
        """Let it read the window's frames; it repeats them for the groups of a call itself."""
        if self._shown == window.frames:
            return
        self._shown = window.frames
        for name, whole in self._whole.items():
            self._set(name, _chosen(whole, window.frames))

    def put_back(self) -> None:
        """Let it read what it had."""
        for name, whole in self._whole.items():
            self._set(name, whole)

    def _has_frames(self, value: object) -> bool:
        return isinstance(value, (torch.Tensor, list)) and len(cast("list[object]", value)) == self.num_frames

    def _set(self, name: str, value: object) -> None:
        setattr(self.control, name, value)
        self.control.cond_hint = None


_PER_FRAME = ("cond_hint_original", "advanced_mask_weighting", "advanced_frame_weighting")


def chain_of(first: object) -> Iterator[LinkedControl]:
    """The networks that are linked, last one first."""
    control = cast("LinkedControl | None", first)
    while control is not None:
        yield control
        control = control.previous_controlnet


def defer(stack: ExitStack, patcher: UnetPatcher) -> None:
    """Until the stack is closed, the networks' signals are those of windows.

    Scripts that wrap the model's function may look at them first, and get whole ones.
    """
    first = cast("LinkedControl | None", patcher.controlnet_linked_list)
    if first is not None and "model_function_wrapper" not in patcher.model_options:
        stack.enter_context(replaced(first, "get_control", Deferring(first, first.get_control)))


def is_deferred(first: object) -> bool:
    """Whether the signals of these networks are."""
    return isinstance(getattr(first, "get_control", None), Deferring)


def patches_of(patcher: UnetPatcher) -> list[object]:
    """What is called inside the UNet, at whatever place."""
    options = cast("Mapping[str, object]", patcher.model_options["transformer_options"])
    patches = cast("Mapping[str, Sequence[object]]", options.get("patches", {}))
    return [each for at_place in patches.values() for each in at_place]


def _chosen(whole: object, frames: Sequence[int]) -> object:
    if isinstance(whole, torch.Tensor):
        return whole[list(frames)]
    return [cast("list[object]", whole)[frame] for frame in frames]
