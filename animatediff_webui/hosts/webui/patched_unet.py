"""The UNet's patcher in Forge and its relatives, when all scripts have had their say about a sampling."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol, cast

from modules import shared

from .host_types import Request
from .patches import replaced_item, wrapped

_MODIFIERS = "conditioning_modifiers"
_NEGATIVE_PROMPT, _SCALE = 3, 5
"""Places among what such modifiers get and return; the host leaves out a negative prompt without effect."""


class UnetPatcher(Protocol):
    """The UNet with what is to be done to it."""

    model_options: dict[str, object]
    controlnet_linked_list: object | None


class Patchers(Protocol):
    """A checkpoint's."""

    unet: UnetPatcher


class PatchedCheckpoint(Protocol):
    """A checkpoint of these hosts."""

    forge_objects: Patchers


@contextmanager
def when_patched(p: Request, act: Callable[[ExitStack, UnetPatcher], None]) -> Generator[None, None, None]:
    """Inside, `act` is called whenever scripts have patched the UNet that the request samples with next.

    What it enters into the stack holds until the next time, or the end. Nothing happens in other hosts.
    """
    if p.scripts is None or not hasattr(shared.sd_model, "forge_objects"):
        yield
        return
    taken = ExitStack()

    def around(original: Callable[..., object]) -> Callable[..., object]:
        def process(*args: object, **kwargs: object) -> object:
            result = original(*args, **kwargs)
            sampled = kwargs.get("p", args[0] if args else None)
            if sampled is p:  # it may be a request that somebody else makes
                taken.close()
                act(taken, cast("PatchedCheckpoint", shared.sd_model).forge_objects.unet)
            return result

        return process

    with wrapped(p.scripts, "process_before_every_sampling", around), taken:
        yield


@contextmanager
def guided_by(p: Request, ratio: Callable[[], float]) -> Generator[None, None, None]:
    """Inside, these hosts guide `ratio()` times as much as the request's CFG scale says."""

    def modify(*values: object) -> Sequence[object]:
        if values[_NEGATIVE_PROMPT] is None:
            return values
        return *values[:_SCALE], cast("float", values[_SCALE]) * ratio(), *values[_SCALE + 1 :]

    def add(stack: ExitStack, patcher: UnetPatcher) -> None:
        others = cast("Sequence[object]", patcher.model_options.get(_MODIFIERS, ()))
        stack.enter_context(replaced_item(patcher.model_options, _MODIFIERS, [*others, modify]))

    with when_patched(p, add):
        yield
