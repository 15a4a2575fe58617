"""What one picture is asked to be, by the WebUI's names; validated."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

from animatediff_webui.core.errors import ParameterError

from .samplers import DEFAULT_SAMPLER, find_sampler

MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Picture:
    """`seed` -1 draws one; `width` and `height` None are the checkpoint's own; `clip_skip` counts like the
    WebUI's, 1 being the last layer."""

    negative_prompt: str = ""
    steps: int = 20
    cfg_scale: float = 7.0
    sampler_name: str = DEFAULT_SAMPLER
    scheduler: str = "Automatic"
    seed: int = -1
    width: int | None = None
    height: int | None = None
    clip_skip: int = 1

    def __post_init__(self) -> None:
        _check("steps", self.steps, 1 <= self.steps <= 1000, "a whole number from 1 to 1000")
        finite = math.isfinite(self.cfg_scale) and 0 <= self.cfg_scale <= 100
        _check("cfg_scale", self.cfg_scale, finite, "a number from 0 to 100")
        _check("seed", self.seed, -1 <= self.seed < 2**63, "a whole number from 0, or -1 for a random one")
        _check("clip_skip", self.clip_skip, 1 <= self.clip_skip <= 12, "a whole number from 1 to 12")
        for name, size in (("width", self.width), ("height", self.height)):
            fits = size is None or (16 <= size <= 8192 and size % 8 == 0)
            _check(name, size, fits, "a multiple of 8 from 16 to 8192")
        find_sampler(self.sampler_name, self.scheduler)

    @property
    def drawn_seed(self) -> int:
        """The seed to use: a new one each time where none was chosen."""
        return secrets.randbelow(MAX_SEED) if self.seed == -1 else self.seed


def _check(name: str, value: object, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise ParameterError(f"{name} is {value}, but must be {allowed}.")
