"""The gate of the feed-forward, in one pass."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def _gate(projected: tl.tensor, output: tl.tensor, num_values: int, width: int, BLOCK: tl.constexpr) -> None:
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = place < num_values
    value_place = place // width * (2 * width) + place % width
    value = tl.load(projected + value_place, mask=mask, other=0.0).to(tl.float32)
    gate = tl.load(projected + value_place + width, mask=mask, other=0.0).to(tl.float32)
    gated = value * 0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476))
    tl.store(output + place, gated.to(output.dtype.element_ty), mask=mask)


def gate(projected: Tensor) -> Tensor:
    """GEGLU with the exact GELU: `... (2 o)` -> `... o`, where the second half gates the first."""
    projected = projected.contiguous()
    width = projected.shape[-1] // 2
    output = torch.empty((*projected.shape[:-1], width), dtype=projected.dtype, device=projected.device)
    _gate[(triton.cdiv(output.numel(), BLOCK),)](projected, output, output.numel(), width, BLOCK=BLOCK)
    return output
