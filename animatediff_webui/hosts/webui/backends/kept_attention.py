"""Attention that a script keeps of a call, to change afterwards what the model predicts.

So does self-attention guidance (Hong et al., arXiv 2210.00939): a function of its own takes the place of the
middle block's attention, and what that has found is as if for all frames. Of a call that goes window by
window it would be the last window's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import torch
from einops import rearrange

Attention: TypeAlias = "Callable[..., torch.Tensor]"
"""`attention(q, k, v, options)`, with `b t c` each."""
_MIDDLE = "middle"
"""What the forks call the one block that is small enough to keep all frames of."""
_REPLACED, _WITHIN_FRAMES = "patches_replace", "attn1"


def keeps_attention(options: Mapping[str, object]) -> bool:
    """Whether a script with these options of a patcher may keep attention for later."""
    told = cast("Mapping[str, object]", options.get("transformer_options") or {})
    return bool(options.get("sampler_post_cfg_function")) and any(_replaced(told))


class WholeAttention:
    """What windows' attention gets, gathered for all rows of a call."""

    def __init__(self, options: Mapping[str, object], num_rows: int) -> None:
        """`options` are what the UNet's patches are told of the whole call."""
        self.rows = torch.arange(num_rows)
        self._options = options
        self._gathered: dict[Attention, tuple[list[torch.Tensor], Mapping[str, object]]] = {}

    def watching(self, told: Mapping[str, object], rows: torch.Tensor) -> Mapping[str, object]:
        """`told`, of a call of these rows, with functions that let be seen what they get."""
        if torch.equal(rows, self.rows):
            return told
        replaced = dict(cast("Mapping[str, Mapping[object, Attention]]", told.get(_REPLACED, {})))
        watched = {place: self._watched(each, rows) for place, each in _replaced(told).items()}
        replaced[_WITHIN_FRAMES] = {**replaced.get(_WITHIN_FRAMES, {}), **watched}
        return {**told, _REPLACED: replaced}

    def show(self) -> None:
        """Call the functions for all rows at once, for the sake of what they keep."""
        for attention, (gathered, options) in self._gathered.items():
            attention(*(each.flatten(0, 1) for each in gathered), {**options, **self._options})

    def _watched(self, attention: Attention, rows: torch.Tensor) -> Attention:
        def watched(*args: object) -> torch.Tensor:
            *given, options = args
            inputs = cast("Sequence[torch.Tensor]", given)
            # Another patch may have cut each row into tiles.
            tiled = [rearrange(each, "(r n) ... -> r n ...", r=len(rows)) for each in inputs]
            if attention not in self._gathered:
                whole = [each.new_zeros(len(self.rows), *each.shape[1:]) for each in tiled]
                self._gathered[attention] = whole, cast("Mapping[str, object]", options)
            for whole, each in zip(self._gathered[attention][0], tiled, strict=True):
                whole[rows] = each
            return attention(*args)

        return watched


def _replaced(told: Mapping[str, object]) -> dict[object, Attention]:
    """The functions in the place of the middle block's attention, by the place."""
    functions = cast("Mapping[str, Mapping[tuple[object, ...], Attention]]", told.get(_REPLACED) or {})
    within = functions.get(_WITHIN_FRAMES, {})
    return {place: attention for place, attention in within.items() if place[0] == _MIDDLE}
