"""Attention over the frames of each row, read from where the layer has its tokens: nothing is rearranged.

A program takes one head of one row: all its scores fit into registers, and values come by in blocks.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from motion_module.kernels.switch import is_interpreted

MOST_FRAMES = 64
LEAST_FRAMES = 16
"""What Triton's matrix products take at least."""
BLOCK = 32
"""Channels at a time: heads of SD1.5 and SDXL have 40, 80 and 160."""


@triton.jit
def _attend(
    query: tl.tensor, key: tl.tensor, value: tl.tensor, scale: tl.tensor, bias: tl.tensor, output: tl.tensor,
    query_frame: int, query_row: int, key_frame: int, key_row: int, value_frame: int, value_row: int,
    scale_frame: int, scale_row: int, output_frame: int, output_row: int, root: float,
    NUM_QUERIES: tl.constexpr, NUM_KEYS: tl.constexpr, NUM_HEADS: tl.constexpr, WIDTH: tl.constexpr,
    HAS_SCALE: tl.constexpr, HAS_BIAS: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, BLOCK: tl.constexpr, FACTORS: tl.constexpr,
) -> None:  # fmt: skip
    row, head = (tl.program_id(0) // NUM_HEADS).to(tl.int64), tl.program_id(0) % NUM_HEADS
    i, j, e = tl.arange(0, QUERIES), tl.arange(0, KEYS), tl.arange(0, BLOCK)
    query += row * query_row + head * WIDTH + i[:, None] * query_frame
    key += row * key_row + head * WIDTH + j[None, :] * key_frame
    value += row * value_row + head * WIDTH + j[:, None] * value_frame
    output += row * output_row + head * WIDTH + i[:, None] * output_frame
    scores = tl.zeros((QUERIES, KEYS), tl.float32)
    for start in range(0, WIDTH, BLOCK):
        inside = start + e < WIDTH
        q = tl.load(
            query + (start + e)[None, :], mask=(i < NUM_QUERIES)[:, None] & inside[None, :], other=0.0
        )
        k = tl.load(key + (start + e)[:, None], mask=inside[:, None] & (j < NUM_KEYS)[None, :], other=0.0)
        scores = tl.dot(q.to(FACTORS), k.to(FACTORS), scores, input_precision="ieee")
    scores *= root
    if HAS_SCALE:
        by_key = tl.load(scale + row * scale_row + j * scale_frame, mask=j < NUM_KEYS, other=0.0)
        scores *= by_key.to(tl.float32)[None, :]
    if HAS_BIAS:
        scores += tl.load(bias + j, mask=j < NUM_KEYS, other=0.0)[None, :]
    scores = tl.where((j < NUM_KEYS)[None, :], scores, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, axis=1)[:, None])
    weights = (weights / tl.sum(weights, axis=1)[:, None]).to(FACTORS)
    for start in range(0, WIDTH, BLOCK):
        inside = start + e < WIDTH
        v = tl.load(value + (start + e)[None, :], mask=(j < NUM_KEYS)[:, None] & inside[None, :], other=0.0)
        seen = tl.dot(weights, v.to(FACTORS), input_precision="ieee").to(output.dtype.element_ty)
        tl.store(output + (start + e)[None, :], seen, mask=(i < NUM_QUERIES)[:, None] & inside[None, :])


def attend(
    query: Tensor, key: Tensor, value: Tensor, num_heads: int, scale: Tensor | None, weights: Tensor | None
) -> Tensor:
    """Over the frames of `f r (n e)`, which may be parts of one product of all three; softmax in fp32.

    `scale`, `f|1 r|1 1`, multiplies the keys; `weights`, `f`, are how much each counts. Raises ValueError for
    more than 64 frames, and where channels do not lie next to each other.
    """
    num_queries, num_rows, channels = query.shape
    if max(num_queries, len(key)) > MOST_FRAMES or {each.stride(2) for each in (query, key, value)} != {1}:
        raise ValueError(f"The kernel takes at most {MOST_FRAMES} frames, of channels next to each other.")
    output = torch.empty((num_queries, num_rows, channels), dtype=query.dtype, device=query.device)
    by_key = query if scale is None else scale.expand(len(key), num_rows, 1)
    bias = query if weights is None else weights.to(query.device, torch.float32).log()
    strides = [each.stride(axis) for each in (query, key, value, by_key, output) for axis in (0, 1)]
    padded = [max(triton.next_power_of_2(len(each)), LEAST_FRAMES) for each in (query, key)]
    width = channels // num_heads
    _attend[(num_rows * num_heads,)](
        query, key, value, by_key, bias, output, *strides, width**-0.5,
        NUM_QUERIES=num_queries, NUM_KEYS=len(key), NUM_HEADS=num_heads, WIDTH=width,
        HAS_SCALE=scale is not None, HAS_BIAS=weights is not None,
        QUERIES=padded[0], KEYS=padded[1], BLOCK=BLOCK, FACTORS=_factors(query.dtype),
        num_warps=max(padded) // LEAST_FRAMES,
    )  # fmt: skip
    return output


def _factors(dtype: torch.dtype) -> tl.dtype:
    """What matrices are multiplied in: their own dtype, and sums are fp32."""
    if dtype is torch.bfloat16 and not is_interpreted():
        return tl.bfloat16
    # Triton's interpreter multiplies bfloat16's bits, as if they were integers.
    return tl.float16 if dtype is torch.float16 else tl.float32
