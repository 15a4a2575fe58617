"""The layers that the network is made of: PyTorch's, built without values and without its initialisation.

While a WebUI loads a checkpoint, it replaces `torch.nn.Linear.__init__`, `torch.nn.init`, `Module.to` and
`Module.load_state_dict` in all threads, and so does accelerate with `Module.register_parameter`. Nothing here
calls any of them. Parameters are on the meta device until `fill` gives them values.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module.products import linear


def fill(layer: nn.Module, name: str, values: Tensor, *, requires_grad: bool) -> None:
    """Let `values` be the layer's parameter of that name."""
    parameter = nn.Parameter(values, requires_grad=requires_grad)
    layer._parameters[name] = parameter  # pyright: ignore[reportPrivateUsage]: what others replace calls this


class Layer(nn.Module):
    """A layer with parameters of these shapes."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            fill(self, name, torch.empty(shape, device="meta"), requires_grad=True)

    def fill_fresh(self) -> None:
        """Give the parameters the values that a training starts from."""
        for name, parameter in list(self.named_parameters()):
            fill(self, name, self.draw_fresh(name, parameter.shape), requires_grad=True)

    def draw_fresh(self, name: str, shape: torch.Size) -> Tensor:
        """The values that a training starts from."""
        raise NotImplementedError


class Projection(Layer):
    """What fresh weights of linear layers and convolutions have in common."""

    fan_in: int

    def draw_fresh(self, name: str, shape: torch.Size) -> Tensor:
        """Uniform within one over the root of the inputs, as PyTorch's own (He et al., arXiv 1502.01852)."""
        bound = 1 / math.sqrt(self.fan_in)
        return torch.empty(shape).uniform_(-bound, bound)


class Normalisation(Layer):
    """What fresh weights of norms have in common."""

    def draw_fresh(self, name: str, shape: torch.Size) -> Tensor:
        """Those that change nothing."""
        return torch.ones(shape) if name == "weight" else torch.zeros(shape)


class Linear(Projection):
    """`... i` -> `... o`; `additions` give what else is added, from the same tokens."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    additions: list[Callable[[Tensor], Tensor]]

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        weight = (out_channels, in_channels)
        if bias:
            super().__init__(weight=weight, bias=(out_channels,))
        else:
            super().__init__(weight=weight)
            self.bias = None
        self.fan_in = in_channels
        self.additions = []

    def forward(self, tokens: Tensor, *, added_to: Tensor | None = None) -> Tensor:
        for addition in self.additions:
            added = addition(tokens)
            added_to = added if added_to is None else added_to + added
        return linear(tokens, self.weight, self.bias, added_to)


class ZeroLinear(Linear):
    """`... i` -> `... o`, which gives zeros until it is trained."""

    def draw_fresh(self, name: str, shape: torch.Size) -> Tensor:
        """Zeros. They are drawn all the same, so that a seed's other weights do not depend on this layer."""
        return super().draw_fresh(name, shape).zero_()


class Conv2d(Projection):
    """`b i h w` -> `b o h w`, with zeros around."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(weight=(out_channels, in_channels, kernel_size, kernel_size), bias=(out_channels,))
        self.fan_in = in_channels * kernel_size**2
        self.padding = kernel_size // 2

    def forward(self, hidden: Tensor) -> Tensor:
        return F.conv2d(hidden, self.weight, self.bias, padding=self.padding)


class LayerNorm(Normalisation):
    """Each token by itself."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(weight=(channels,), bias=(channels,))
        self.eps = eps

    def forward(self, tokens: Tensor) -> Tensor:
        return F.layer_norm(tokens, self.weight.shape, self.weight, self.bias, self.eps)


class GroupNorm(Normalisation):
    """Each row and group of channels by itself."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, num_groups: int, channels: int, eps: float) -> None:
        super().__init__(weight=(channels,), bias=(channels,))
        self.num_groups, self.eps = num_groups, eps

    def forward(self, hidden: Tensor) -> Tensor:
        return F.group_norm(hidden, self.num_groups, self.weight, self.bias, self.eps)
