"""What an adapter for a kind of model does, whatever the host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import nn

    from animatediff_webui.hosts.webui.host_types import ModelCall
    from motion_module.placeable import Placeable
    from motion_module.schedules import BetaSchedule


class Backend(Protocol):
    """A checkpoint as its host runs it."""

    @property
    def unet(self) -> nn.Module:
        """Whose layers the motion module continues."""
        ...

    @property
    def empty_prompt(self) -> torch.Tensor:
        """The embedding of the empty prompt, `t c`: one chunk of tokens."""
        ...

    @property
    def last_alpha_cumprod(self) -> float:
        """The cumulative alpha of the last timestep, where there is least of the picture."""
        ...

    @property
    def alternates_parts(self) -> bool:
        """Whether the parts that `AND` joins come frame by frame; else each part is a clip of its own."""
        ...

    def wrapped_call(self, wrap: Callable[[ModelCall], ModelCall]) -> AbstractContextManager[None]:
        """Inside, every call of the model goes through `wrap(call)`."""
        ...

    def scheduled(self, schedule: BetaSchedule) -> AbstractContextManager[None]:
        """Inside, samplers that are made for this checkpoint follow `schedule`."""
        ...

    def placed(self, module: Placeable, *, keep: bool) -> AbstractContextManager[None]:
        """Inside, the motion module is where the UNet's calls find it; afterwards it stays if `keep`."""
        ...

    def estimated(self, share: float) -> AbstractContextManager[None]:
        """Inside, a host that reckons what memory a call takes does so for `share` of its rows."""
        ...
