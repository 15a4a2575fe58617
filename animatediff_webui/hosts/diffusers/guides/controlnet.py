"""ControlNets (Zhang et al., arXiv 2302.05543): what each frame is to follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from einops import rearrange, repeat
from torch import Tensor

from ..pipelines import Config
from .residuals import Residuals, UNetCall, without_negative

if TYPE_CHECKING:
    from .settings import Network


class ControlNetwork(Protocol):
    """diffusers' ControlNetModel."""

    config: Config

    def __call__(self, sample: Tensor, timestep: Tensor, **arguments: object) -> Residuals: ...


@dataclass(frozen=True, eq=False)
class ActiveControlNet:
    """A ControlNet with its hints, bytes `f h w c`: one for each frame of the clip, or one for all."""

    network: ControlNetwork
    hints: Tensor
    asked: Network
    is_for_one_window: ClassVar[bool] = False

    def residuals(self, call: UNetCall, weight: float) -> Residuals:
        """What it adds to a window's call. Networks that pool what they see say nothing of the negative
        prompt's rows, as diffusers has it."""
        if self.network.config.get("global_pool_conditions") and call.num_groups > 1:
            return without_negative(self.residuals(call.of_prompt(), weight), call.num_groups)
        return self.network(
            call.sample,
            call.timestep,
            encoder_hidden_states=call.context,
            controlnet_cond=self._hints_for(call),
            conditioning_scale=weight,
            added_cond_kwargs=call.added,
            return_dict=False,
        )

    def _hints_for(self, call: UNetCall) -> Tensor:
        """Of each row, from 0 to 1."""
        chosen = self.hints[list(call.frames)] if len(self.hints) > 1 else self.hints
        light = rearrange(chosen.float() / 255, "f h w c -> f c h w").to(call.sample)
        return repeat(light.expand(len(call.frames), -1, -1, -1), "f c h w -> (g f) c h w", g=call.num_groups)
