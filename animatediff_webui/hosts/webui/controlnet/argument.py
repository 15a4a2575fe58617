"""What sd-webui-controlnet is told about a run, by the names it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import torch

from animatediff_webui.core.loops import NONE
from animatediff_webui.core.parameters import Parameters
from animatediff_webui.core.plan import Plan
from animatediff_webui.core.prompt_travel import blend_keyframes
from animatediff_webui.hosts.webui.host_types import Request


@dataclass
class PromptScheduler:
    """Blends embeddings over the frames; ControlNet copies it and puts its keyframes into `prompt_map`."""

    prompt_map: Mapping[int, str] = field(default_factory=dict[int, str])

    def multi_cond(self, cond: torch.Tensor, closed_loop: bool = False) -> torch.Tensor:
        """`f ...`, of which the rows at the keyframes count; what is between them is blended."""
        frames = sorted(self.prompt_map)
        if len(frames) < 2:
            return cond
        return blend_keyframes(cond[frames], frames, len(cond), looped=closed_loop)


@dataclass
class AnimateDiffArgument:
    """A run's parameters as ControlNet reads them; it sets `is_i2i_batch`."""

    enable: bool
    video_length: int
    batch_size: int
    closed_loop: str
    prompt_scheduler: PromptScheduler = field(default_factory=PromptScheduler)
    is_i2i_batch: bool = False


def build_argument(parameters: Parameters, plan: Plan) -> AnimateDiffArgument:
    """The answer to `get_animatediff_arg`."""
    return AnimateDiffArgument(
        parameters.enable, plan.num_frames, plan.context_length, parameters.context.closed_loop
    )


REFUSED = AnimateDiffArgument(enable=True, video_length=1, batch_size=1, closed_loop=NONE.name)
"""The answer for a request that will end in an error: ControlNet is not to go through a folder by itself."""


class _OurScript(Protocol):
    """The extension's script among a request's."""

    def controlnet_argument(self, p: Request) -> AnimateDiffArgument | None: ...


def find_run(p: Request) -> AnimateDiffArgument | None:
    """What our script among the request's says about it."""
    for script in p.scripts.alwayson_scripts if p.scripts is not None else ():
        if hasattr(script, "controlnet_argument"):
            return cast("_OurScript", script).controlnet_argument(p)
    return None
