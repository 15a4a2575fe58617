"""Attention over the frames of each row, by each of the libraries that have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from einops import rearrange
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Inputs:
    """Queries, keys and values `f r (n e)`; `scale` `f|1 r|1 1` multiplies the keys; `weights` `f` are how
    much each key counts."""

    query: Tensor
    key: Tensor
    value: Tensor
    num_heads: int
    scale: Tensor | None = None
    weights: Tensor | None = None

    @property
    def scaled_key(self) -> Tensor:
        """The keys as most backends take them."""
        return self.key if self.scale is None else self.key * self.scale

    def bias(self, like: Tensor) -> Tensor | None:
        """What is added to the scores `r n f f`."""
        return None if self.weights is None else self.weights.log().to(like)[None, None, None]

    @property
    def kind(self) -> tuple[object, ...]:
        """What a backend's speed depends on."""
        shapes = tuple(self.query.shape), len(self.key), self.num_heads
        return *shapes, self.query.dtype, self.query.device, self.scale is None, self.weights is None


Backend = Callable[[Inputs], Tensor]
"""To `f r (n e)`."""


def attend_by_products(inputs: Inputs) -> Tensor:
    """Two plain matrix products and a softmax."""
    query, key, value = _by_heads(inputs, "r n f e")
    bias = inputs.bias(query)
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    attended = (scores if bias is None else scores + bias).softmax(dim=-1) @ value
    return rearrange(attended, "r n f e -> f r (n e)")


def attend_by_sdpa(inputs: Inputs) -> Tensor:
    """PyTorch's own, over 4-D tensors because its fast kernels refuse 3-D."""
    query, key, value = _by_heads(inputs, "r n f e")
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=inputs.bias(query))
    return rearrange(attended, "r n f e -> f r (n e)")


def attend_by_xformers(inputs: Inputs) -> Tensor:
    """xformers' own; raises ValueError where keys count differently."""
    from xformers.ops import memory_efficient_attention

    if inputs.weights is not None:
        raise ValueError("xformers is not asked for attention to keys that count differently.")
    query, key, value = _by_heads(inputs, "r f n e")
    return rearrange(memory_efficient_attention(query, key, value), "r f n e -> f r (n e)")


def attend_by_triton(inputs: Inputs) -> Tensor:
    """This project's kernel."""
    from motion_module.kernels.attention import attend

    return attend(inputs.query, inputs.key, inputs.value, inputs.num_heads, inputs.scale, inputs.weights)


def _by_heads(inputs: Inputs, axes: str) -> tuple[Tensor, Tensor, Tensor]:
    pattern = f"f r (n e) -> {axes}"
    query, key, value = (
        rearrange(each, pattern, n=inputs.num_heads)
        for each in (inputs.query, inputs.scaled_key, inputs.value)
    )
    return query, key, value
