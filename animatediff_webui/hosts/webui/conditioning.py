"""Prompt travel in the WebUI's conditionings: one per frame, blended from those of the distinct prompts.

The host encodes the prompts, so its whole syntax works: weights, styles, BREAK, AND, `[a:b:0.5]`, textual
inversion. What it makes of a prompt is a schedule, `[(end_at_step, cond), ...]`, and for a positive prompt
one of those per part that `AND` joins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from animatediff_webui.core.prompt_travel import PromptTrack, blend_embeddings, pad_embeddings

from .host_types import Cond, Conds, Schedule

_TOKENS = "crossattn"
"""Of the fields of SDXL's conds, the one with an embedding per token."""


@dataclass(frozen=True)
class Travel:
    """A prompt's way over the frames, and how the embeddings on its way are mixed.

    `empty_chunk` is the empty prompt's embedding `t c`, which short prompts are continued with.
    """

    track: PromptTrack
    blending: str
    empty_chunk: torch.Tensor


@dataclass(frozen=True)
class Encoded:
    """A prompt as the host encoded it: its parts, each a schedule with a weight."""

    schedules: tuple[Schedule, ...]
    weights: tuple[float, ...]


def travelled(
    conds: Conds, unconds: Sequence[Schedule], positive: Travel, negative: Travel
) -> tuple[Conds, Sequence[Schedule]]:
    """The host's conditionings of a batch, positive and negative, blended over the frames.

    Where `AND` joins prompts, both come out equally long: the host then runs a step's rows in one call,
    whatever frame they belong to.
    """
    if positive.track.is_travelling:
        conds = _like(conds, travelled_parts(_encoded(conds), positive))
    if negative.track.is_travelling:
        unconds = travelled_schedules(unconds, negative)
    if num_parts(conds) == 1:
        return conds, unconds
    schedules = [part.schedules for parts in conds.batch for part in parts]
    length = max(num_tokens(schedules), num_tokens(unconds))
    frames = [
        Encoded(tuple(equally_long(each.schedules, length, positive.empty_chunk)), each.weights)
        for each in _encoded(conds)
    ]
    return _like(conds, frames), equally_long(unconds, length, negative.empty_chunk)


def num_parts(conds: Conds) -> int:
    """How many prompts `AND` joins."""
    return len(conds.batch[0])


def travelled_schedules(schedules: Sequence[Schedule], travel: Travel) -> list[Schedule]:
    """Per frame a schedule, blended from `schedules`, the host's for each frame's nearest prompt to the left.

    This is the negative prompt, and any other that has no parts.
    """
    return _blended(travel.track.per_prompt(schedules), travel)


def travelled_parts(encoded: Sequence[Encoded], travel: Travel) -> list[Encoded]:
    """Per frame the parts of a prompt that `AND` joins, blended from those for each frame's left prompt.

    Every frame gets as many parts as the prompt with the most of them: one that a prompt lacks has weight 0.
    """
    by_prompt = travel.track.per_prompt(encoded)
    count = max(len(each.weights) for each in by_prompt)
    parts = [_blended([_part(each, index) for each in by_prompt], travel) for index in range(count)]
    frames: list[Encoded] = []
    for frame, blend in enumerate(travel.track.blends):
        left, right = (_padded(by_prompt[prompt].weights, count) for prompt in (blend.left, blend.right))
        pairs = zip(left, right, strict=True)
        weights = tuple(a * (1 - blend.position) + b * blend.position for a, b in pairs)
        frames.append(Encoded(tuple(part[frame] for part in parts), weights))
    return frames


def equally_long(schedules: Iterable[Schedule], length: int, empty_chunk: torch.Tensor) -> list[Schedule]:
    """The schedules with every cond continued to `length` tokens by the embedding of the empty prompt."""
    return [
        [type(entry)(entry.end_at_step, _continued(entry.cond, length, empty_chunk)) for entry in schedule]
        for schedule in schedules
    ]


def num_tokens(schedules: Iterable[Schedule]) -> int:
    """Tokens of the longest cond."""
    return max(len(_tokens(entry.cond)) for schedule in schedules for entry in schedule)


def _encoded(conds: Conds) -> list[Encoded]:
    """What the host's object holds, picture by picture."""
    return [
        Encoded(tuple(part.schedules for part in parts), tuple(part.weight for part in parts))
        for parts in conds.batch
    ]


def _like(conds: Conds, frames: Sequence[Encoded]) -> Conds:
    """The host's object for these frames, made by the classes of the one it gave us."""
    part_class = type(conds.batch[0][0])
    batch = [
        [part_class(schedule, weight) for schedule, weight in zip(each.schedules, each.weights, strict=True)]
        for each in frames
    ]
    return type(conds)((len(frames),), batch)


def _part(encoded: Encoded, index: int) -> Schedule:
    return encoded.schedules[index if index < len(encoded.schedules) else 0]


def _padded(weights: Sequence[float], count: int) -> list[float]:
    return [*weights, *[0.0] * (count - len(weights))]


def _blended(by_prompt: Sequence[Schedule], travel: Travel) -> list[Schedule]:
    """Per frame the blend of the prompts' schedules, step range by step range."""
    entry_class = type(by_prompt[0][0])
    ends = sorted({entry.end_at_step for schedule in by_prompt for entry in schedule})
    per_range = [_blended_conds([_cond_at(schedule, end) for schedule in by_prompt], travel) for end in ends]
    return [
        [entry_class(end, conds[frame]) for end, conds in zip(ends, per_range, strict=True)]
        for frame in range(travel.track.num_frames)
    ]


def _blended_conds(conds: Sequence[Cond], travel: Travel) -> list[Cond]:
    """Per frame the blend of the prompts' conds."""
    dicts = [cond for cond in conds if isinstance(cond, dict)]
    if not dicts:
        return list(_blended_tokens([cond for cond in conds if not isinstance(cond, dict)], travel))
    fields: dict[str, torch.Tensor] = {}
    for key in dicts[0]:
        values = [cond[key] for cond in dicts]
        fields[key] = (
            _blended_tokens(values, travel)
            if key == _TOKENS
            else blend_embeddings(torch.stack(values), travel.track, travel.blending)
        )
    return [
        {key: values[frame] for key, values in fields.items()} for frame in range(travel.track.num_frames)
    ]


def _blended_tokens(embeddings: Sequence[torch.Tensor], travel: Travel) -> torch.Tensor:
    """Embeddings `t c` of prompts of any length, blended over the frames: `f t c`."""
    padded = pad_embeddings(embeddings, travel.empty_chunk.to(embeddings[0]))
    return blend_embeddings(padded, travel.track, travel.blending)


def _cond_at(schedule: Schedule, step: int) -> Cond:
    """The host takes the first entry that has not ended, and, past all of them, the first one."""
    return next((entry.cond for entry in schedule if step <= entry.end_at_step), schedule[0].cond)


def _tokens(cond: Cond) -> torch.Tensor:
    return cond[_TOKENS] if isinstance(cond, dict) else cond


def _continued(cond: Cond, length: int, empty_chunk: torch.Tensor) -> Cond:
    if isinstance(cond, dict):
        return {**cond, _TOKENS: _lengthened(cond[_TOKENS], length, empty_chunk)}
    return _lengthened(cond, length, empty_chunk)


def _lengthened(tokens: torch.Tensor, length: int, empty_chunk: torch.Tensor) -> torch.Tensor:
    chunks = (length - len(tokens)) // len(empty_chunk)
    return torch.cat([tokens, empty_chunk.to(tokens).repeat(chunks, 1)]) if chunks else tokens
