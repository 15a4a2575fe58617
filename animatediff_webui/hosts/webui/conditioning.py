"""Prompt travel in the WebUI's conditionings: one per frame, blended from those of the distinct prompts.

The host encodes the prompts, so its whole syntax works: weights, styles, BREAK, AND, `[a:b:0.5]`, textual
inversion. What it makes of a prompt is a schedule, `[(end_at_step, cond), ...]`, and for a positive prompt
one of those per part that `AND` joins; a cond is a tensor `n c`, or, for SDXL, a dict with `crossattn` and
`vector`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from animatediff_webui.core.parameters import Blending
from animatediff_webui.core.prompt_travel import PromptTrack, blend_embeddings, pad_embeddings

Cond = Any  # the host's: a tensor, or a dict of tensors
_FIELDS_PER_TOKEN = ("crossattn",)


@dataclass(frozen=True)
class Encoded:
    """A prompt as the host encoded it: its parts, each a schedule with a weight."""

    schedules: tuple[Sequence[Any], ...]
    weights: tuple[float, ...]


def travelled(
    conds: Any,
    unconds: Sequence[Sequence[Any]],
    tracks: tuple[PromptTrack, PromptTrack],
    how: Blending,
    empty_chunk: torch.Tensor,
) -> tuple[Any, Sequence[Sequence[Any]]]:
    """The host's conditionings of a batch, positive and negative, blended over the frames.

    Where `AND` joins prompts, both come out equally long: the host then runs a step's rows in one call,
    whatever frame they belong to. (Any: the host's MulticondLearnedConditioning.)
    """
    positive, negative = tracks
    if positive.is_travelling:
        encoded = [
            Encoded(tuple(part.schedules for part in parts), tuple(part.weight for part in parts))
            for parts in conds.batch
        ]
        conds = _like(conds, travelled_parts(encoded, positive, how, empty_chunk))
    if negative.is_travelling:
        unconds = travelled_schedules(unconds, negative, how, empty_chunk)
    if num_parts(conds) > 1:
        schedules = [part.schedules for parts in conds.batch for part in parts]
        length = max(num_tokens(schedules), num_tokens(unconds))
        frames = [
            Encoded(
                tuple(equally_long((part.schedules for part in parts), length, empty_chunk)),
                tuple(part.weight for part in parts),
            )
            for parts in conds.batch
        ]
        conds, unconds = _like(conds, frames), equally_long(unconds, length, empty_chunk)
    return conds, unconds


def num_parts(conds: Any) -> int:
    """How many prompts `AND` joins. (Any: as above.)"""
    return len(conds.batch[0])


def travelled_schedules(
    schedules: Sequence[Sequence[Any]], track: PromptTrack, how: Blending, empty_chunk: torch.Tensor
) -> list[list[Any]]:
    """Per frame a schedule, blended from `schedules`, the host's for each frame's nearest prompt to the left.

    This is the negative prompt, and any other that has no parts.
    """
    by_prompt = [schedules[frame] for frame in _frames_of_prompts(track)]
    return _blended(by_prompt, track, how, empty_chunk)


def travelled_parts(
    encoded: Sequence[Encoded], track: PromptTrack, how: Blending, empty_chunk: torch.Tensor
) -> list[Encoded]:
    """The same for a prompt whose parts are joined by `AND`.

    Every frame gets as many parts as the prompt with the most of them: one that a prompt lacks has weight 0.
    """
    by_prompt = [encoded[frame] for frame in _frames_of_prompts(track)]
    count = max(len(each.weights) for each in by_prompt)
    parts = [
        _blended([_part(each, index) for each in by_prompt], track, how, empty_chunk)
        for index in range(count)
    ]
    weights = [[*each.weights, *[0.0] * (count - len(each.weights))] for each in by_prompt]
    return [
        Encoded(
            tuple(part[frame] for part in parts),
            tuple(
                weights[blend.left][index] * (1 - blend.position)
                + weights[blend.right][index] * blend.position
                for index in range(count)
            ),
        )
        for frame, blend in enumerate(track.blends)
    ]


def equally_long(
    schedules: Iterable[Sequence[Any]], length: int, empty_chunk: torch.Tensor
) -> list[list[Any]]:
    """The schedules with every cond continued to `length` tokens by the embedding of the empty prompt."""
    return [
        [entry._replace(cond=_continued(entry.cond, length, empty_chunk)) for entry in schedule]
        for schedule in schedules
    ]


def num_tokens(schedules: Iterable[Sequence[Any]]) -> int:
    """Tokens of the longest cond."""
    return max(len(_tokens(entry.cond)) for schedule in schedules for entry in schedule)


def _like(conds: Any, frames: Sequence[Encoded]) -> Any:
    """The host's object for these frames, made by the classes of the one it gave us."""
    part_class = type(conds.batch[0][0])
    batch = [
        [
            part_class(schedule, weight)
            for schedule, weight in zip(frame.schedules, frame.weights, strict=True)
        ]
        for frame in frames
    ]
    return type(conds)(shape=(len(frames),), batch=batch)


def _frames_of_prompts(track: PromptTrack) -> list[int]:
    """For each distinct prompt a frame that has it on its left: the host encodes one prompt per frame."""
    lefts = [blend.left for blend in track.blends]
    return [lefts.index(prompt) if prompt in lefts else 0 for prompt in range(len(track.prompts))]


def _part(encoded: Encoded, index: int) -> Sequence[Any]:
    return encoded.schedules[index if index < len(encoded.schedules) else 0]


def _blended(
    by_prompt: Sequence[Sequence[Any]], track: PromptTrack, how: Blending, empty_chunk: torch.Tensor
) -> list[list[Any]]:
    """Per frame the blend of the prompts' schedules, step range by step range."""
    entry = by_prompt[0][0]
    ends = sorted({entry.end_at_step for schedule in by_prompt for entry in schedule})
    per_range = [
        _blended_conds([_cond_at(schedule, end) for schedule in by_prompt], track, how, empty_chunk)
        for end in ends
    ]
    return [
        [
            entry._replace(end_at_step=end, cond=conds[frame])
            for end, conds in zip(ends, per_range, strict=True)
        ]
        for frame in range(track.num_frames)
    ]


def _blended_conds(
    conds: Sequence[Cond], track: PromptTrack, how: Blending, empty_chunk: torch.Tensor
) -> list[Cond]:
    if isinstance(conds[0], dict):
        fields = {
            key: _blended_conds([cond[key] for cond in conds], track, how, empty_chunk)
            if key in _FIELDS_PER_TOKEN
            else list(blend_embeddings(torch.stack([cond[key] for cond in conds]), track, how))
            for key in conds[0]
        }
        return [{key: values[frame] for key, values in fields.items()} for frame in range(track.num_frames)]
    return list(blend_embeddings(pad_embeddings(conds, empty_chunk.to(conds[0])), track, how))


def _cond_at(schedule: Sequence[Any], step: int) -> Cond:
    """The host takes the first entry that has not ended, and, past all of them, the first one."""
    return next((entry.cond for entry in schedule if step <= entry.end_at_step), schedule[0].cond)


def _tokens(cond: Cond) -> torch.Tensor:
    return cond["crossattn"] if isinstance(cond, dict) else cond


def _continued(cond: Cond, length: int, empty_chunk: torch.Tensor) -> Cond:
    if isinstance(cond, dict):
        return {**cond, "crossattn": _continued(cond["crossattn"], length, empty_chunk)}
    chunks = (length - len(cond)) // len(empty_chunk)
    return torch.cat([cond, empty_chunk.to(cond).repeat(chunks, 1)]) if chunks else cond
