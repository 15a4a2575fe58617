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

from .host_types import Cond, Conds, Schedule, ScheduledCond

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

    def part(self, index: int) -> tuple[Schedule, float]:
        """A part's schedule and weight; where there is none of that number, one without weight."""
        if index < len(self.weights):
            return self.schedules[index], self.weights[index]
        return self.schedules[0], 0.0


def travelled(
    conds: Conds, unconds: Sequence[Schedule] | None, positive: Travel, negative: Travel
) -> tuple[Conds, Sequence[Schedule] | None]:
    """The host's conditionings of a batch, positive and negative, blended over the frames.

    Some hosts encode no negative prompt where it has no effect. Where `AND` joins prompts, both come out
    equally long: the host then runs a step's rows in one call, whatever frame they belong to.
    """
    if positive.track.is_travelling:
        conds = _like(conds, travelled_parts(_encoded(conds), positive))
    if unconds is not None and negative.track.is_travelling:
        unconds = travelled_schedules(unconds, negative)
    if num_parts(conds) == 1:
        return conds, unconds
    schedules = [part.schedules for parts in conds.batch for part in parts]
    length = num_tokens([*schedules, *(unconds or ())])
    frames = [
        Encoded(tuple(equally_long(each.schedules, length, positive.empty_chunk)), each.weights)
        for each in _encoded(conds)
    ]
    padded = unconds and equally_long(unconds, length, negative.empty_chunk)
    return _like(conds, frames), padded


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
    schedules: list[list[Schedule]] = []
    weights: list[list[float]] = []
    for index in range(count):
        parts = [each.part(index) for each in by_prompt]
        of_prompts, shares = zip(*parts, strict=True)
        schedules.append(_blended(of_prompts, travel))
        weights.append(travel.track.blended(shares))
    of_frames = zip(zip(*schedules, strict=True), zip(*weights, strict=True), strict=True)
    return [Encoded(*frame) for frame in of_frames]


def equally_long(schedules: Iterable[Schedule], length: int, empty_chunk: torch.Tensor) -> list[Schedule]:
    """The schedules with every cond continued to `length` tokens by the embedding of the empty prompt."""
    longer: list[Schedule] = []
    for schedule in schedules:
        conds = [_continued(entry.cond, length, empty_chunk) for entry in schedule]
        pairs = zip(schedule, conds, strict=True)
        longer.append([type(entry)(entry.end_at_step, cond) for entry, cond in pairs])
    return longer


def part_weights(conds: Conds) -> list[list[float]]:
    """What each part of the prompt counts, frame by frame."""
    return [[part.weight for part in parts] for parts in conds.batch]


def num_tokens(schedules: Iterable[Schedule]) -> int:
    """Tokens of the longest cond."""
    return max(len(_tokens(entry.cond)) for schedule in schedules for entry in schedule)


def _encoded(conds: Conds) -> list[Encoded]:
    """What the host's object holds, picture by picture."""
    pictures: list[Encoded] = []
    for parts in conds.batch:
        pairs = [(part.schedules, part.weight) for part in parts]
        pictures.append(Encoded(*zip(*pairs, strict=True)))
    return pictures


def _like(conds: Conds, frames: Sequence[Encoded]) -> Conds:
    """The host's object for these frames, made by the classes of the one it gave us."""
    part_class = type(conds.batch[0][0])
    batch = [list(map(part_class, each.schedules, each.weights)) for each in frames]
    return type(conds)((len(frames),), batch)


def _blended(by_prompt: Sequence[Schedule], travel: Travel) -> list[Schedule]:
    """Per frame the blend of the prompts' schedules, step range by step range."""
    entry_class = type(by_prompt[0][0])
    ends = sorted({entry.end_at_step for schedule in by_prompt for entry in schedule})
    frames: list[list[ScheduledCond]] = [[] for _ in range(travel.track.num_frames)]
    for end in ends:
        conds = [_cond_at(schedule, end) for schedule in by_prompt]
        for frame, cond in zip(frames, _blended_conds(conds, travel), strict=True):
            frame.append(entry_class(end, cond))
    return list(frames)


def _blended_conds(conds: Sequence[Cond], travel: Travel) -> list[Cond]:
    """Per frame the blend of the prompts' conds."""
    tokens = _blended_tokens(list(map(_tokens, conds)), travel)
    dicts = [cond for cond in conds if isinstance(cond, dict)]
    if not dicts:
        return list(tokens)
    frames = [{_TOKENS: each} for each in tokens]
    for key in dicts[0]:
        if key == _TOKENS:
            continue
        values = torch.stack([cond[key] for cond in dicts])
        blended = blend_embeddings(values, travel.track, travel.blending)
        for frame, value in zip(frames, blended, strict=True):
            frame[key] = value
    return list(frames)


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
