"""A layer norm and what tells the frames apart, in one pass."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096
"""Values that a program holds at once, of one or more tokens."""


@triton.jit
def _norm(
    tokens: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    positions: tl.tensor,
    output: tl.tensor,
    num_tokens: int,
    num_rows: int,
    position_stride: int,
    eps: float,
    CHANNELS: tl.constexpr,
    TOKENS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    channel = tl.arange(0, WIDTH)
    inside = channel < CHANNELS
    mask = (token < num_tokens)[:, None] & inside[None, :]
    place = token[:, None] * CHANNELS + channel[None, :]
    values = tl.load(tokens + place, mask=mask, other=0.0).to(tl.float32)
    mean = tl.sum(values, axis=1) / CHANNELS
    centred = tl.where(mask, values - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, axis=1) / CHANNELS
    factor = 1.0 / tl.sqrt(variance + eps)
    scale = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32)
    offset = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    frame = (token // num_rows)[:, None] * position_stride
    position = tl.load(positions + frame + channel[None, :], mask=mask, other=0.0).to(tl.float32)
    normed = centred * factor[:, None] * scale[None, :] + offset[None, :] + position
    tl.store(output + place, normed.to(output.dtype.element_ty), mask=mask)


def norm_at_positions(tokens: Tensor, weight: Tensor, bias: Tensor, positions: Tensor, eps: float) -> Tensor:
    """Layer norm of contiguous `f r c`, plus `positions` `f c`; accumulated in fp32, in the tokens' dtype."""
    num_frames, num_rows, channels = tokens.shape
    tokens, output = tokens.contiguous(), torch.empty_like(tokens, memory_format=torch.contiguous_format)
    width = triton.next_power_of_2(channels)
    at_once = max(BLOCK // width, 1)
    num_tokens = num_frames * num_rows
    _norm[(triton.cdiv(num_tokens, at_once),)](
        tokens, weight, bias, positions, output, num_tokens, num_rows, positions.stride(0), eps,
        CHANNELS=channels, TOKENS=at_once, WIDTH=width,
    )  # fmt: skip
    return output
