"""Samplers by the WebUI's names, as diffusers' schedulers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from animatediff_webui.core.errors import ParameterError

if TYPE_CHECKING:
    from motion_module.schedules import BetaSchedule

    from .pipelines import Config, Scheduler, SchedulerClass

DEFAULT_SAMPLER = "DPM++ 2M"
Options: TypeAlias = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True)
class Sampler:
    """A scheduler's class name and options; `takes_schedule_types`: whether it can follow any schedule type.

    It calls the UNet `calls_per_step` times in each step, and `extra_calls` more (or fewer) in all.
    """

    scheduler: str
    options: tuple[tuple[str, object], ...] = ()
    takes_schedule_types: bool = True
    calls_per_step: int = 1
    extra_calls: int = 0


@dataclass(frozen=True)
class ScheduleType:
    """How noise levels are spread over the steps; `reshapes_sigmas`: not every sampler can do that."""

    options: tuple[tuple[str, object], ...] = ()
    reshapes_sigmas: bool = False


_DPM = "DPMSolverMultistepScheduler"
_LINSPACE, _TRAILING = ("timestep_spacing", "linspace"), ("timestep_spacing", "trailing")

SAMPLERS: Mapping[str, Sampler] = {
    "Euler": Sampler("EulerDiscreteScheduler", (_LINSPACE,)),
    "Euler a": Sampler("EulerAncestralDiscreteScheduler", (_LINSPACE,), takes_schedule_types=False),
    "DPM++ 2M": Sampler(_DPM, (_LINSPACE, ("algorithm_type", "dpmsolver++"), ("solver_order", 2))),
    "DPM++ 2M SDE": Sampler(_DPM, (_LINSPACE, ("algorithm_type", "sde-dpmsolver++"), ("solver_order", 2))),
    "DPM++ 3M": Sampler(_DPM, (_LINSPACE, ("algorithm_type", "dpmsolver++"), ("solver_order", 3))),
    "DPM++ 2S": Sampler("DPMSolverSinglestepScheduler"),
    "Heun": Sampler("HeunDiscreteScheduler", (_LINSPACE,), calls_per_step=2, extra_calls=-1),
    "DPM2": Sampler("KDPM2DiscreteScheduler", (_LINSPACE,), calls_per_step=2, extra_calls=-1),
    "DPM2 a": Sampler("KDPM2AncestralDiscreteScheduler", (_LINSPACE,), calls_per_step=2, extra_calls=-1),
    "DEIS": Sampler("DEISMultistepScheduler", (_LINSPACE,)),
    "UniPC": Sampler("UniPCMultistepScheduler", (_LINSPACE,)),
    "DDIM": Sampler("DDIMScheduler", (_TRAILING, ("clip_sample", False)), takes_schedule_types=False),
    "DDPM": Sampler("DDPMScheduler", (_TRAILING, ("clip_sample", False)), takes_schedule_types=False),
    "PLMS": Sampler("PNDMScheduler", (("skip_prk_steps", True),), takes_schedule_types=False, extra_calls=1),
    "LCM": Sampler("LCMScheduler", (("clip_sample", False),), takes_schedule_types=False),
    "TCD": Sampler("TCDScheduler", (("clip_sample", False),), takes_schedule_types=False),
}
SCHEDULE_TYPES: Mapping[str, ScheduleType] = {
    "Automatic": ScheduleType(),
    "Uniform": ScheduleType(),
    "SGM Uniform": ScheduleType((_TRAILING,)),
    "Karras": ScheduleType((("use_karras_sigmas", True),), reshapes_sigmas=True),
    "Exponential": ScheduleType((("use_exponential_sigmas", True),), reshapes_sigmas=True),
}


def find_sampler(name: str, schedule_type: str = "Automatic") -> tuple[Sampler, Options]:
    """The sampler and its scheduler's options; a name may end in a schedule type, as in "DPM++ 2M Karras".

    Raises ParameterError, naming what there is.
    """
    words, schedule = name.strip(), _match(schedule_type, SCHEDULE_TYPES, "scheduler")
    for suffix in sorted(SCHEDULE_TYPES, key=len, reverse=True):
        if words.lower().endswith(f" {suffix.lower()}"):
            words, schedule = words[: -len(suffix)].strip(), suffix
    sampler_name = _match(words, SAMPLERS, "sampler_name")
    sampler, followed = SAMPLERS[sampler_name], SCHEDULE_TYPES[schedule]
    if followed.reshapes_sigmas and not sampler.takes_schedule_types:
        raise ParameterError(
            f"The sampler {sampler_name} has no {schedule} schedule: use DPM++ 2M, Euler or Heun with it."
        )
    return sampler, dict(sampler.options) | dict(followed.options)


def build_scheduler(
    sampler: Sampler, options: Options, config: Config, schedule: BetaSchedule | None
) -> Scheduler:
    """diffusers' scheduler for a checkpoint's configuration, with a motion module's betas (None: its own)."""
    import diffusers

    from motion_module.schedules import betas

    scheduler_class = cast("SchedulerClass", getattr(diffusers, sampler.scheduler))
    if schedule is None:
        return scheduler_class.from_config(config, **options)
    num_timesteps = cast("int", config.get("num_train_timesteps", 1000))
    trained = list(map(float, betas(schedule, num_timesteps)))
    return scheduler_class.from_config(config, **options, trained_betas=trained)


def _match(name: str, table: Mapping[str, T], option: str) -> str:
    for entry in table:
        if entry.lower() == name.lower():
            return entry
    raise ParameterError(f"{option} is {name!r}, but must be one of: {', '.join(table)}.")
