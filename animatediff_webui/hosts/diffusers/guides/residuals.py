"""What networks beside the UNet add to it: residuals of its way down and of its middle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .settings import Network

Residuals: TypeAlias = tuple[Sequence[Tensor], Tensor]
"""Of each place on the way down, from the finest on, and of the middle: rows `(g f) c h w`."""


@dataclass(frozen=True, eq=False)
class UNetCall:
    """A window's call of the UNet: `sample` `(g f) c h w`, the negative prompt's rows first where there are
    two groups, and what its rows are told, `(g f) n c`. `added` are SDXL's further embeddings. `frames` are
    the window's."""

    sample: Tensor
    timestep: Tensor
    context: Tensor
    added: Mapping[str, Tensor] | None
    frames: Sequence[int]

    @property
    def num_groups(self) -> int:
        return len(self.sample) // len(self.frames)

    def of_prompt(self) -> UNetCall:
        """The rows of the prompt alone."""
        rows = slice(-len(self.frames), None)
        added = None if self.added is None else {key: value[rows] for key, value in self.added.items()}
        return UNetCall(self.sample[rows], self.timestep, self.context[rows], added, self.frames)


class Guide(Protocol):
    """A network that acts on a clip.

    `is_for_one_window`: it takes one window's frames a call, as what it is shown goes by the whole window.
    """

    is_for_one_window: ClassVar[bool]

    @property
    def asked(self) -> Network: ...
    def residuals(self, call: UNetCall, weight: float) -> Residuals | None: ...


def sum_residuals(guides: Iterable[Guide], call: UNetCall, step: int, num_steps: int) -> dict[str, object]:
    """What the UNet is to add, by its arguments' names; nothing where no network acts in this step."""
    total: Residuals | None = None
    for guide in guides:
        weight = guide.asked.weight_at(step, num_steps)
        added = guide.residuals(call, weight) if weight else None
        if added is None:
            continue
        down, middle = added
        if total is not None:
            down, middle = [each + more for each, more in zip(total[0], down, strict=True)], total[1] + middle
        total = down, middle
    if total is None:
        return {}
    return {"down_block_additional_residuals": tuple(total[0]), "mid_block_additional_residual": total[1]}


def without_negative(residuals: Residuals, num_groups: int) -> Residuals:
    """Residuals of the prompt's rows alone, with zeros for those of the groups before them."""

    def padded(rows: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(rows)] * (num_groups - 1) + [rows])

    return [padded(each) for each in residuals[0]], padded(residuals[1])
