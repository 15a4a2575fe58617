"""ControlNets from single files: the original names of their weights, or diffusers'."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from torch import Tensor

from motion_module.kinds import CONTROLNET

from .files import NetworkClass, Source, Weights

if TYPE_CHECKING:
    from ..pipelines import Config

LAYERS_PER_BLOCK = 2
AS_IN_THE_UNET = (
    "addition_embed_type", "addition_time_embed_dim", "attention_head_dim", "block_out_channels",
    "cross_attention_dim", "flip_sin_to_cos", "freq_shift", "layers_per_block", "norm_eps", "norm_num_groups",
    "num_attention_heads", "projection_class_embeddings_input_dim", "upcast_attention",
    "use_linear_projection",
)  # fmt: skip
"""What a ControlNet has from the UNet that it is a copy of: shapes do not tell all of it, such as heads."""
DOWN_BLOCKS = ("CrossAttnDownBlock2D", "DownBlock2D")
MIDDLE_BLOCKS = ("UNetMidBlock2DCrossAttn", "UNetMidBlock2D")
"""With attention to the text, and without."""
HINTS = "controlnet_cond_embedding"


def _import_class() -> NetworkClass:
    from diffusers.models.controlnets.controlnet import ControlNetModel

    return cast("NetworkClass", ControlNetModel)


def _rename(weights: Weights) -> Weights:
    from diffusers.loaders import single_file_utils

    # diffusers publishes no types for it.
    convert = cast(
        "Callable[[dict[str, Tensor], dict[str, int]], dict[str, Tensor | None]]",
        single_file_utils.convert_controlnet_checkpoint,  # pyright: ignore[reportUnknownMemberType]
    )
    renamed = convert(dict(weights), {"layers_per_block": LAYERS_PER_BLOCK})
    return {key: value for key, value in renamed.items() if value is not None}


def _configure(weights: Weights, unet: Config) -> dict[str, object]:
    """The UNet's way down, with text attention where the weights have any: small ones have less of it."""
    blocks = [f"{HINTS}.conv_in", *(f"{HINTS}.blocks.{index}" for index in _odd_places(weights))]
    widths = cast("tuple[int, ...]", unet.get("block_out_channels"))
    levels, middle = (
        [f"down_blocks.{level}.attentions." for level in range(len(widths))],
        "mid_block.attentions.",
    )
    transformers = [_transformers(weights, level) for level in levels]
    # The middle block has as many as the last level, which may have no place for them.
    transformers[-1] = transformers[-1] or _transformers(weights, middle)
    return {
        **{name: unet.get(name) for name in AS_IN_THE_UNET},
        "block_out_channels": (len(weights["conv_in.bias"]), *widths[1:]),
        "conditioning_channels": weights[f"{HINTS}.conv_in.weight"].shape[1],
        "conditioning_embedding_out_channels": [len(weights[f"{block}.bias"]) for block in blocks],
        "down_block_types": [_kind(weights, level, *DOWN_BLOCKS) for level in levels],
        "transformer_layers_per_block": transformers,
        "mid_block_type": _kind(weights, middle, *MIDDLE_BLOCKS),
    }


def _kind(weights: Weights, attentions: str, with_text: str, without: str) -> str:
    """The kind of a block, by whether there are attentions in it."""
    return with_text if any(key.startswith(attentions) for key in weights) else without


def _odd_places(weights: Weights) -> list[int]:
    """The convolutions of the hints that change the number of channels."""
    found = (re.fullmatch(rf"{HINTS}\.blocks\.(\d+)\.bias", key) for key in weights)
    return sorted(int(match[1]) for match in found if match and int(match[1]) % 2)


def _transformers(weights: Weights, attentions: str) -> int:
    """How many transformer blocks a block's attentions have."""
    form = re.compile(rf"{re.escape(attentions)}\d+\.transformer_blocks\.(\d+)\..+")
    return 1 + max((int(match[1]) for match in map(form.fullmatch, weights) if match), default=-1)


CONTROLNETS = Source("ControlNetModel", _import_class, CONTROLNET, _rename, _configure)
