"""Samplers by the WebUI's names, as diffusers' schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from animatediff_webui.core.errors import UserError

DEFAULT_SAMPLER = "DPM++ 2M"


@dataclass(frozen=True)
class Sampler:
    """A scheduler's class name and options; `spaces_sigmas` says whether it takes another noise schedule.

    It calls the UNet `calls_per_step` times in each step, and `extra_calls` more (or fewer) in all.
    """

    scheduler: str
    options: tuple[tuple[str, Any], ...] = ()
    spaces_sigmas: bool = True
    calls_per_step: int = 1
    extra_calls: int = 0


_DPM = "DPMSolverMultistepScheduler"
_LINSPACE, _TRAILING = ("timestep_spacing", "linspace"), ("timestep_spacing", "trailing")

SAMPLERS: dict[str, Sampler] = {
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
SPACINGS: dict[str, dict[str, Any]] = {
    "Automatic": {},
    "Uniform": {},
    "SGM Uniform": {"timestep_spacing": "trailing"},
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True},
}


def find_sampler(name: str, spacing: str = "Automatic") -> tuple[Sampler, dict[str, Any]]:
    """The sampler and its scheduler's options; a name may end in a noise schedule, as in "DPM++ 2M Karras".

    Raises UserError, naming what there is.
    """
    words, chosen = name.strip(), _match(spacing, SPACINGS, "scheduler")
    for suffix in sorted(SPACINGS, key=len, reverse=True):
        if words.lower().endswith(f" {suffix.lower()}"):
            words, chosen = words[: -len(suffix)].strip(), suffix
    known = _match(words, SAMPLERS, "sampler-name")
    sampler = SAMPLERS[known]
    if chosen in ("Karras", "Exponential") and not sampler.spaces_sigmas:
        raise UserError(f"The sampler {known} has no {chosen} schedule: use DPM++ 2M, Euler or Heun with it.")
    return sampler, dict(sampler.options) | SPACINGS[chosen]


def _match(name: str, table: dict[str, Any], option: str) -> str:
    for known in table:
        if known.lower() == name.lower():
            return known
    raise UserError(f"--{option} is {name!r}, but must be one of: {', '.join(table)}.")
