"""Whether the kernels run: where they are asked for, and for what they can do."""

from __future__ import annotations

import logging
import os
from functools import cache

import torch
from torch import Tensor

from motion_module.errors import MotionModuleError

OPTION = "ANIMATEDIFF_TRITON"
"""The environment variable that switches the kernels on; they are off where it is not set."""
INTERPRETER = "TRITON_INTERPRET"
"""Triton's own: its interpreter runs the kernels on CPUs."""
DTYPES = (torch.float16, torch.bfloat16, torch.float32)

logger = logging.getLogger(__name__)


def runs_kernels(tokens: Tensor) -> bool:
    """Whether these tokens go through the kernels. They know no gradients, so training never does."""
    return (
        is_switched_on()
        and tokens.dtype in DTYPES
        and not torch.is_grad_enabled()
        and (tokens.is_cuda or (tokens.device.type == "cpu" and is_interpreted()))
        and has_triton()
    )


def is_switched_on() -> bool:
    """What the environment says; raises MotionModuleError for anything but 0 and 1."""
    value = os.environ.get(OPTION, "0")
    if value not in ("0", "1"):
        raise MotionModuleError(f"{OPTION} is {value!r}: set it to 1 for Triton's kernels, or to 0.")
    return value == "1"


def is_interpreted() -> bool:
    """Whether Triton runs its kernels in Python, on CPUs."""
    return os.environ.get(INTERPRETER) == "1"


@cache
def has_triton() -> bool:
    """Whether Triton 3 or newer is installed; where it is asked for and is not, the log says so once."""
    try:
        import triton.language as tl
    except ImportError as error:
        logger.warning("Layers run without the kernels that %s asks for: %s", OPTION, error)
        return False
    if not hasattr(tl, "erf"):
        logger.warning("Layers run without the kernels that %s asks for: they need Triton 3.", OPTION)
        return False
    return True
