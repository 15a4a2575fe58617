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
    """A scheduler's class name and options; `spaces_sigmas` says whether it takes another noise schedule.

    It calls the UNet `calls_per_step` times in each step, and `extra_calls` more (or fewer) in all.
    """

    scheduler: str
    options: tuple[tuple[str, object], ...] = ()
    spaces_sigmas: bool = True
    calls_per_step: int = 1
    extra_calls: int = 0


@dataclass(frozen=True)
class Spacing:
    """How noise levels are spread over the steps; `reshapes_sigmas`: not every sampler can do that."""

    options: tuple[tuple[str, object], ...] = ()
    reshapes_sigmas: bool = False


_DPM = "DPMSolverMultistepScheduler"
_LINSPACE, _TRAILING = ("timestep_spacing", "linspace"), ("timestep_spacing", "trailing")

SAMPLERS: Mapping[str, Sampler] = {
    "Euler": Sampler("EulerDiscreteScheduler", (_LINSPACE,)),
    "Euler a": Sampler("EulerAncestralDiscreteScheduler", (_LINSPACE,), spaces_sigmas=False),
    "DPM++ 2M": Sampler(_DPM, (_LINSPACE, ("algorithm_type", "dpmsolver++"), ("solver_order", 2))),
    "DPM++ 2M SDE": Sampler(_DPM, (_LINSPACE, ("algorithm_type", "sde-dpmsolver++"), ("solver_order", 2))),
    "DPM++ 3M": Sampler(_DPM, (_LINSPACE, ("algorithm_type", "dpmsolver++"), ("solver_order", 3))),
    "DPM++ 2S": Sampler("DPMSolverSinglestepScheduler"),
    "Heun": Sampler("HeunDiscreteScheduler", (_LINSPACE,), calls_per_step=2, extra_calls=-1),
    "DPM2": Sampler("KDPM2DiscreteScheduler", (_LINSPACE,), calls_per_step=2, extra_calls=-1),
    "DPM2 a": Sampler("KDPM2AncestralDiscreteScheduler", (_LINSPACE,), calls_per_step=2, extra_calls=-1),
    "DEIS": Sampler("DEISMultistepScheduler", (_LINSPACE,)),
    "UniPC": Sampler("UniPCMultistepScheduler", (_LINSPACE,)),
    "DDIM": Sampler("DDIMScheduler", (_TRAILING, ("clip_sample", False)), spaces_sigmas=False),
    "DDPM": Sampler("DDPMScheduler", (_TRAILING, ("clip_sample", False)), spaces_sigmas=False),
    "PLMS": Sampler("PNDMScheduler", (("skip_prk_steps", True),), spaces_sigmas=False, extra_calls=1),
    "LCM": Sampler("LCMScheduler", (("clip_sample", False),), spaces_sigmas=False),
    "TCD": Sampler("TCDScheduler", (("clip_sample", False),), spaces_sigmas=False),
}
SPACINGS: Mapping[str, Spacing] = {
    "Automatic": Spacing(),
    "Uniform": Spacing(),
    "SGM Uniform": Spacing((_TRAILING,)),
    "Karras": Spacing((("use_karras_sigmas", True),), reshapes_sigmas=True),
    "Exponential": Spacing((("use_exponential_sigmas", True),), reshapes_sigmas=True),
}


def find_sampler(name: str, spacing: str = "Automatic") -> tuple[Sampler, Options]:
    """The sampler and its scheduler's options; a name may end in a noise schedule, as in "DPM++ 2M Karras".

    Raises ParameterError, naming what there is.
    """
    words, chosen = name.strip(), _match(spacing, SPACINGS, "scheduler")
    for suffix in sorted(SPACINGS, key=len, reverse=True):
        if words.lower().endswith(f" {suffix.lower()}"):
            words, chosen = words[: -len(suffix)].strip(), suffix
    known = _match(words, SAMPLERS, "sampler_name")
    sampler, spaced = SAMPLERS[known], SPACINGS[chosen]
    if spaced.reshapes_sigmas and not sampler.spaces_sigmas:
        raise ParameterError(
            f"The sampler {known} has no {chosen} schedule: use DPM++ 2M, Euler or Heun with it."
        )
    return sampler, dict(sampler.options) | dict(spaced.options)


def build_scheduler(
    sampler: Sampler, options: Options, config: Config, schedule: BetaSchedule | None
) -> Scheduler:
    """diffusers' scheduler for a checkpoint's configuration, with a motion module's betas (None: its own)."""
    import diffusers

    from motion_module.schedules import betas

    known = cast("SchedulerClass", getattr(diffusers, sampler.scheduler))
    if schedule is None:
        return known.from_config(config, **options)
    num_timesteps = cast("int", config.get("num_train_timesteps", 1000))
    trained = list(map(float, betas(schedule, num_timesteps)))
    return known.from_config(config, **options, trained_betas=trained)


def _match(name: str, table: Mapping[str, T], option: str) -> str:
    for known in table:
        if known.lower() == name.lower():
            return known
    raise ParameterError(f"{option} is {name!r}, but must be one of: {', '.join(table)}.")
