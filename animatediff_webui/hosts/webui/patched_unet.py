"""The UNet's patcher in Forge and its relatives, when all scripts have had their say about a sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeAlias, cast

import torch
from modules import shared

from .host_types import Request
from .patches import replaced_item, wrapped

_MODIFIERS, _GUIDE, _AFTERWARDS = (
    "conditioning_modifiers",
    "sampler_cfg_function",
    "sampler_post_cfg_function",
)
_LATENTS, _NEGATIVE_PROMPT, _PROMPT, _SCALE, _OPTIONS = 1, 3, 4, 5, 6
"""Places among what such modifiers get and return; the host leaves out a negative prompt without effect."""
Modifier: TypeAlias = "Callable[..., Sequence[object]]"


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

    with _modified_by(p, modify):
        yield


@contextmanager
def weighted_by(p: Request, weights: Callable[[], Sequence[Sequence[float]]]) -> Generator[None, None, None]:
    """Inside, these hosts join the parts of a prompt by each frame's own weights, `f p`.

    The hosts take each part's weight of the last frame for all of them, but know masks, which here are the
    frames' weights. These need not add up to one: what they guide more or less by is made up for afterwards.
    """

    def modify(*values: object) -> Sequence[object]:
        latents, parts = cast("torch.Tensor", values[_LATENTS]), cast("Sequence[Part]", values[_PROMPT])
        of_frames = torch.tensor(weights()).to(latents)
        if of_frames.shape != (len(latents), len(parts)) or torch.equal(*torch.aminmax(of_frames, dim=0)):
            return values
        options = cast("Mapping[str, object]", values[_OPTIONS])
        totals, scale = of_frames.sum(1), cast("float", values[_SCALE])
        if _GUIDE not in options and not math.isclose(scale, 1):
            others = cast("Sequence[object]", options.get(_AFTERWARDS, ()))
            options = {**options, _AFTERWARDS: [_guiding_more(scale * (totals - 1)), *others]}
        masked = _masked(parts, of_frames, latents)
        return *values[:_PROMPT], masked, scale, options, *values[_OPTIONS + 1 :]

    with _modified_by(p, modify):
        yield


Part: TypeAlias = "Mapping[str, object]"
"""A part of a prompt, as these hosts have it."""


def _masked(parts: Sequence[Part], weights: torch.Tensor, latents: torch.Tensor) -> list[Part]:
    """The parts, of which each counts in each frame by its weight; the host's own weights add up to one."""
    masks = weights.T[..., None, None].expand(-1, -1, *latents.shape[2:])
    strength = 1 / len(parts)
    return [{**part, "strength": strength, "mask": mask} for part, mask in zip(parts, masks, strict=True)]


def _guiding_more(by: torch.Tensor) -> Callable[[Mapping[str, torch.Tensor]], torch.Tensor]:
    """What guides each frame so much more, when the host has guided."""

    def guide(told: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return told["denoised"] + by.view(-1, 1, 1, 1) * (told["cond_denoised"] - told["uncond_denoised"])

    return guide


@contextmanager
def _modified_by(p: Request, modify: Modifier) -> Generator[None, None, None]:
    """Inside, `modify` has the last word about what these hosts call the model with."""

    def add(stack: ExitStack, patcher: UnetPatcher) -> None:
        others = cast("Sequence[object]", patcher.model_options.get(_MODIFIERS, ()))
        stack.enter_context(replaced_item(patcher.model_options, _MODIFIERS, [*others, modify]))

    with when_patched(p, add):
        yield
