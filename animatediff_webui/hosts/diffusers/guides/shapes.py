"""What the weights of a network beside the UNet, under diffusers' names, tell of its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from torch import Tensor

    from ..pipelines import Config

Weights: TypeAlias = "Mapping[str, Tensor]"
HINTS = "controlnet_cond_embedding"
AS_IN_THE_UNET = (
    "attention_head_dim", "block_out_channels", "cross_attention_dim", "flip_sin_to_cos", "freq_shift",
    "layers_per_block", "norm_eps", "norm_num_groups", "num_attention_heads", "upcast_attention",
    "use_linear_projection",
)  # fmt: skip
"""What a network has from the UNet that it is a copy of: shapes do not tell all of it, such as heads."""


def level_names(unet: Config) -> list[str]:
    """What the names of attentions begin with, in each level on the way down."""
    widths = cast("tuple[int, ...]", unet.get("block_out_channels"))
    return [f"down_blocks.{level}.attentions." for level in range(len(widths))]


def widths_of(weights: Weights, unet: Config) -> tuple[int, ...]:
    """The UNet's widths, but for the first, which the weights tell: it shows whether they fit."""
    widths = cast("tuple[int, ...]", unet.get("block_out_channels"))
    return len(weights["conv_in.bias"]), *widths[1:]


def kind_of_block(weights: Weights, attentions: str, with_text: str, without: str) -> str:
    """The kind of a block, by whether there are attentions in it."""
    return with_text if any(key.startswith(attentions) for key in weights) else without


def hint_widths(weights: Weights) -> list[int]:
    """The channels of the convolutions that read hints: the first one's, and where their number changes."""
    found = (re.fullmatch(rf"{HINTS}\.blocks\.(\d+)\.bias", key) for key in weights)
    places = sorted(int(match[1]) for match in found if match and int(match[1]) % 2)
    return [
        len(weights[f"{HINTS}.{name}.bias"]) for name in ("conv_in", *(f"blocks.{each}" for each in places))
    ]


def count_transformers(weights: Weights, attentions: str) -> int:
    """How many transformer blocks a block's attentions have."""
    form = re.compile(rf"{re.escape(attentions)}\d+\.transformer_blocks\.(\d+)\..+")
    return 1 + max((int(match[1]) for match in map(form.fullmatch, weights) if match), default=-1)
