"""Matrix products with what follows them: an addition, or a gate.

On CPUs, oneDNN does both in one pass and is quicker than PyTorch's own products. The operators are those that
PyTorch's compiler writes into its programs; they know no gradients, and not every build of PyTorch has them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Any: PyTorch's operators have no static types.
_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def uses_onednn(tokens: Tensor) -> bool:
    """Whether the products of these tokens are oneDNN's."""
    return (
        _ONEDNN is not None
        and torch.backends.mkldnn.is_available()
        and tokens.device.type == "cpu"
        and tokens.dtype is torch.float32
        and not torch.is_grad_enabled()
    )


def linear(tokens: Tensor, weight: Tensor, bias: Tensor | None, added_to: Tensor | None = None) -> Tensor:
    """`... i` -> `... o`, on top of what it is added to."""
    if not uses_onednn(tokens):
        output = F.linear(tokens, weight, bias)
        return output if added_to is None else added_to + output
    if added_to is None:
        return _ONEDNN(tokens, weight, bias, "none", [], "")
    return _ONEDNN.binary(tokens, added_to, weight, bias, "add")


def gated_linear(tokens: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`... i` -> `... o`, of a weight `(2 o) i`, as `gate` makes one of two."""
    if not uses_onednn(tokens):
        return gate(F.linear(tokens, weight, bias))
    value_weight, gate_weight = weight.chunk(2)
    value_bias, gate_bias = (None, None) if bias is None else bias.chunk(2)
    gates = _ONEDNN(tokens, gate_weight, gate_bias, "gelu", [], "none")
    return linear(tokens, value_weight, value_bias).mul_(gates)


def gate(projected: Tensor) -> Tensor:
    """GEGLU (Shazeer, arXiv 2002.05202): `... (2 o)` -> `... o`, where the second half gates the first."""
    values, gates = projected.chunk(2, dim=-1)
    return values * F.gelu(gates)
