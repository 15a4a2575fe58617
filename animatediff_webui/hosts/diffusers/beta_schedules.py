"""Which noise levels a sampler's steps are made from: the checkpoint's, or those of a motion module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from animatediff_webui.core.fields import Field, Kind

if TYPE_CHECKING:
    from motion_module.module import MotionModule
    from motion_module.schedules import BetaSchedule

AUTOMATIC = "auto"
BETA_SCHEDULES: Mapping[str, str | None] = {
    "checkpoint": None,
    "linear": "LINEAR",
    "scaled-linear": "SCALED_LINEAR",
    "sdxl": "SCALED_LINEAR_SDXL",
}
"""By the command line's names: the member of BetaSchedule, None for the checkpoint's own."""

BETA_SCHEDULE = Field(
    "beta_schedule", "beta_schedule", "Beta schedule", Kind.CHOICE, "Model",
    "What the sampler's noise levels are made from; auto is what the motion module was trained with.",
    default=AUTOMATIC, choices=(AUTOMATIC, *BETA_SCHEDULES),
)  # fmt: skip


def choose_beta_schedule(name: str, module: MotionModule | None) -> BetaSchedule | None:
    """The beta schedule of that name, None for the checkpoint's own. Raises ParameterError."""
    from motion_module.schedules import BetaSchedule

    schedule = cast("str", BETA_SCHEDULE.read(name))
    if schedule == AUTOMATIC:
        return None if module is None else module.spec.beta_schedule
    member = BETA_SCHEDULES[schedule]
    return None if member is None else BetaSchedule[member]
