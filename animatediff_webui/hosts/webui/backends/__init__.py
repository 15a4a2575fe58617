"""What differs between the WebUI and its forks: one adapter for each kind of model, found by its features."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.webui.host_types import ModelCall

from . import ldm

if TYPE_CHECKING:
    from motion_module.module import MotionModule
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

    def wrapped_call(self, wrap: Callable[[ModelCall], ModelCall]) -> AbstractContextManager[None]:
        """Inside, every call of the model goes through `wrap(call)`."""
        ...

    def scheduled(self, schedule: BetaSchedule) -> AbstractContextManager[None]:
        """Inside, samplers that are made for this checkpoint follow `schedule`."""
        ...

    def placed(self, module: MotionModule, *, keep: bool) -> AbstractContextManager[None]:
        """Inside, the motion module is where the UNet's calls find it; afterwards it stays if `keep`."""
        ...


_ADAPTERS: tuple[Callable[[object], Backend | None], ...] = (ldm.adapt,)


def find_backend(model: object) -> Backend:
    """The adapter for a checkpoint in memory. Raises UserError where there is none."""
    if hasattr(model, "forge_objects"):
        raise UserError(
            "This is Forge or reForge, which samples in a way that AnimateDiff does not know yet: use "
            "AUTOMATIC1111's WebUI, 1.6.1 to 1.10.1."
        )
    for adapt in _ADAPTERS:
        backend = adapt(model)
        if backend is not None:
            return backend
    raise UserError("No checkpoint is loaded: choose an SD1.5 or SDXL checkpoint.")
