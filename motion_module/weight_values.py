"""What a weight may be: a floating-point number of a size that layers can compute with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from motion_module.errors import BrokenMotionModuleError, shorten

DTYPES_TO_RUN_IN = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LARGEST_WEIGHT = torch.finfo(torch.float16).max
"""What float16 holds; trained weights are of about 1, and with larger ones the pictures are black."""


def detect_dtype(tensors: Iterable[Tensor]) -> torch.dtype:
    """The dtype most of the weights have, or float16 where that is for storage only, such as float8."""
    dtypes = Counter(tensor.dtype for tensor in tensors if tensor.is_floating_point())
    most_common = next((dtype for dtype, _ in dtypes.most_common(1)), torch.float32)
    return most_common if most_common in DTYPES_TO_RUN_IN else torch.float16


def check_values(key: str, tensor: Tensor, name: str) -> None:
    """BrokenMotionModuleError where a tensor of the file `name` cannot be a weight; one pass over it.

    Tensors on the meta device have no values to be wrong.
    """
    if not tensor.is_floating_point():
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise BrokenMotionModuleError(
            f"{shorten(key)} of {shorten(name)} is {dtype}, but weights are floating-point numbers: get the "
            "file that its authors published, or convert it with the program that wrote it."
        )
    if tensor.is_meta or not tensor.numel():
        return
    values = tensor if tensor.dtype in DTYPES_TO_RUN_IN else tensor.float()
    smallest, largest = (extreme.item() for extreme in torch.aminmax(values))
    if not -LARGEST_WEIGHT <= smallest <= largest <= LARGEST_WEIGHT:  # nor where one is NaN
        outlier = largest if abs(largest) > abs(smallest) else smallest
        raise BrokenMotionModuleError(
            f"{shorten(key)} of {shorten(name)} holds {outlier:g}, which no layer can compute with: download "
            "the file again, or get another version."
        )
