"""Apply LoRAs to a motion module for a while, at constant strengths or at ones that change by frame."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module.errors import MotionModuleError
from motion_module.layers import Linear
from motion_module.lora.weights import LowRank, MotionLora
from motion_module.module import MotionModule
from motion_module.runtime import Runtime

logger = logging.getLogger(__name__)

Strength = float | Sequence[float] | Tensor
"""One number, or one for each frame of the animation."""


@dataclass(frozen=True)
class Addition:
    """What one LoRA adds to one layer; strengths: (1,) or (f,)."""

    delta: LowRank
    strengths: Tensor


@contextmanager
def motion_loras(module: MotionModule, loras: Iterable[tuple[MotionLora, Strength]]) -> Generator[None]:
    """Inside, the LoRAs' temporal parts act; afterwards the module has the very weights it had before.

    Constant strengths are merged into weights that stand in for the module's own, and cost nothing to run.
    Strengths by frame go by the indices of `module.frames`, and cost one low-rank product a layer, however
    many LoRAs there are.
    """
    linears = _find_linears(module)
    with ExitStack() as undo:
        for layer, additions in _additions_by_layer(module, loras).items():
            linear = linears[layer]
            constant = [addition for addition in additions if len(addition.strengths) == 1]
            by_frame = [addition for addition in additions if len(addition.strengths) > 1]
            if constant:
                undo.enter_context(_merged(linear, constant))
            if by_frame:
                undo.enter_context(_added(linear, by_frame, module.runtime))
        yield


def _additions_by_layer(
    module: MotionModule, loras: Iterable[tuple[MotionLora, Strength]]
) -> Mapping[str, list[Addition]]:
    additions: defaultdict[str, list[Addition]] = defaultdict(list)
    for lora, strength in loras:
        strengths = torch.as_tensor(strength, dtype=torch.float32).reshape(-1)
        for layer, delta in _find_matching(module, lora).items():
            additions[layer].append(Addition(delta, strengths))
    return additions


def unmatched_layers(module: MotionModule, lora: MotionLora) -> list[str]:
    """The temporal layers of a LoRA that the module lacks, because it was made for another family."""
    linears = _find_linears(module)
    return [layer for layer in lora.temporal if layer not in linears]


def _find_linears(module: nn.Module) -> dict[str, Linear]:
    linears: dict[str, Linear] = {}
    layers = cast("Iterable[tuple[str, nn.Module]]", module.named_modules())  # torch leaves it half open
    for name, layer in layers:
        if isinstance(layer, Linear):
            linears[name] = layer
    return linears


def _find_matching(module: MotionModule, lora: MotionLora) -> dict[str, LowRank]:
    """The LoRA's layers that the module has; MotionModuleError where there is none, or one does not fit."""
    name = module.name or module.spec.family
    linears = _find_linears(module)
    matching = {layer: delta for layer, delta in lora.temporal.items() if layer in linears}
    num_unmatched = len(lora.temporal) - len(matching)
    if lora.temporal and not matching:
        raise MotionModuleError(
            f"Motion LoRA {lora.name} fits no layer of {name}: use it with the motion module it was made "
            "for, mostly an AnimateDiff v2 one."
        )
    if num_unmatched:
        logger.warning(
            "Motion LoRA %s was made for another motion module than %s: %d of its layers are left out.",
            lora.name,
            name,
            num_unmatched,
        )
    for layer, delta in matching.items():
        _check_channels(f"Motion LoRA {lora.name} takes {layer}", delta, linears[layer], name)
    return matching


def _check_channels(of_what: str, delta: LowRank, linear: Linear, module: str) -> None:
    expected, shape = tuple(linear.weight.shape), (delta.up.shape[0], delta.down.shape[1])
    if expected != shape:
        raise MotionModuleError(
            f"{of_what} from {shape[1]} to {shape[0]} channels, but {module} has {expected[1]} to "
            f"{expected[0]}: use it with the motion module it was made for."
        )


@contextmanager
def _merged(linear: Linear, additions: Sequence[Addition]) -> Generator[None]:
    original = linear.weight
    exact = torch.promote_types(original.dtype, torch.float32)
    merged = original.detach().to(exact)
    for addition in additions:
        delta = addition.delta
        up, down = delta.up.to(original.device, exact), delta.down.to(original.device, exact)
        merged = torch.addmm(merged, up, down, alpha=addition.strengths.item() * delta.scale)
    linear.weight = nn.Parameter(merged.to(original.dtype), requires_grad=False)
    try:
        yield
    finally:
        if original.device != linear.weight.device:  # the module was moved meanwhile
            original.data = original.data.to(linear.weight.device)
        linear.weight = original


@contextmanager
def _added(linear: Linear, additions: Sequence[Addition], runtime: Runtime) -> Generator[None]:
    add = _build_addition(linear.weight, additions, runtime)
    linear.additions.append(add)
    try:
        yield
    finally:
        linear.additions.remove(add)


def _build_addition(
    weight: Tensor, additions: Sequence[Addition], runtime: Runtime
) -> Callable[[Tensor], Tensor]:
    """All the low-rank products as one, of tokens `f r c`."""
    down = torch.cat([addition.delta.down.to(weight) for addition in additions])
    up = torch.cat([addition.delta.up.to(weight) for addition in additions], dim=1)
    columns: list[Tensor] = []
    for addition in additions:
        strengths = addition.strengths[:, None].expand(-1, addition.delta.rank)
        columns.append(strengths * addition.delta.scale)
    shortest = min(len(addition.strengths) for addition in additions)

    def add(tokens: Tensor) -> Tensor:
        nonlocal down, up
        down, up = down.to(tokens), up.to(tokens)  # once, where the module was moved
        last = max(runtime.frame_indices)
        if last >= shortest:
            raise MotionModuleError(
                f"A motion LoRA has strengths for {shortest} frames, but frame {last} is asked for: "
                "give a strength for each frame."
            )
        indices = runtime.clip_indices()
        among = runtime.clips_among(len(indices)) if len(indices) > 1 else [0]  # one is for all rows
        clips = torch.tensor([indices[clip] for clip in among])
        scales = torch.cat([column[clips] for column in columns], dim=-1).to(tokens)
        of_clips = rearrange(F.linear(tokens, down), "f (b p) d -> f b p d", b=len(clips))
        scaled = of_clips * rearrange(scales, "b f d -> f b 1 d")
        return F.linear(rearrange(scaled, "f b p d -> f (b p) d"), up)

    return add
