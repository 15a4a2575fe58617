"""What is asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Options:
    """`bases`, `clips`, `frames`, `shrink`: of the layers; `model`: the motion module that WebUIs at `urls`
    are asked for; `toy`: tiny sizes, to see whether all runs."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    rounds: int = 7
    bases: tuple[str, ...] = ("SD1.5", "SDXL")
    clips: tuple[int, ...] = (1, 2)
    frames: tuple[int, ...] = (8, 16, 24, 32)
    shrink: int = 1
    urls: tuple[str, ...] = ()
    model: str = ""
    toy: bool = False
