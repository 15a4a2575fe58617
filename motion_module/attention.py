"""Attention over the frames of each row."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor
from torch.nn import functional as F


def attend(
    query: Tensor, key: Tensor, value: Tensor, num_heads: int, weights: Tensor | None = None
) -> Tensor:
    """Dot-product attention over the frames of `f r (n e)`; `weights` `f` are how much each key counts."""
    query = rearrange(query, "f r (n e) -> r n f e", n=num_heads)
    key = rearrange(key, "f r (n e) -> r n f e", n=num_heads)
    value = rearrange(value, "f r (n e) -> r n f e", n=num_heads)
    bias = None if weights is None else weights.log().to(query)[None, None, None]
    return rearrange(_attend(query, key, value, bias), "r n f e -> f r (n e)")


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Over the frames of `r n f e`, 4-D because the fast kernels refuse 3-D."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    # With so few frames, plain products are quicker on CPUs than the kernel, which is for long sequences.
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    return (scores if bias is None else scores + bias).softmax(dim=-1) @ value
