"""How strongly a motion module acts on a clip: what the plan says, with its masks read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from animatediff_webui.core.errors import ParameterError, UserError
from animatediff_webui.core.multival import FrameValues, Mask
from animatediff_webui.media.masks import read_mask
from animatediff_webui.media.readers.local import local_path

if TYPE_CHECKING:
    import torch

    from animatediff_webui.core.plan import MotionPlan
    from motion_module import control


def read_control(plan: MotionPlan, find: Callable[[str], Path] = local_path) -> control.MotionControl:
    """What the plan says, for `MotionModule.frames`; `find` gives the file of a mask's path.

    Raises ParameterError for masks that cannot be used.
    """
    from motion_module.control import MotionControl  # here, because it imports torch

    return MotionControl(_read_values(plan.scale, find), _read_values(plan.effect, find))


def _read_values(values: FrameValues, find: Callable[[str], Path]) -> control.FrameValues | None:
    """Values times masks; None where that changes nothing."""
    import torch

    from motion_module.control import FrameValues

    if values.is_one:
        return None
    numbers = torch.tensor(values.values)[:, None, None]
    product = numbers[:1] if len(set(values.values)) == 1 else numbers
    for mask in values.masks:
        product = _times(product, _read_mask(mask, values, find))
    return FrameValues(product)


def _read_mask(mask: Mask, values: FrameValues, find: Callable[[str], Path]) -> torch.Tensor:
    """`f h w` from its low to its high."""
    import torch

    try:
        grey = torch.tensor(read_mask(mask.source, len(values.values), find))
    except UserError as error:
        raise ParameterError(f"{values.name} cannot be read: {error}") from error
    return mask.low + (mask.high - mask.low) * grey


def _times(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Values `f h w` multiplied, at the larger of their sizes."""
    from torch.nn.functional import interpolate

    size = max(first.shape[1:], second.shape[1:], key=math.prod)
    left, right = (
        each if each.shape[1:] in (size, (1, 1)) else interpolate(each[None], size, mode="bilinear")[0]
        for each in (first, second)
    )
    return left * right
