"""ControlNets from single files: the original names of their weights, or diffusers'."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from torch import Tensor

from motion_module.kinds import CONTROLNET

from .files import NetworkClass, Source
from .shapes import (
    AS_IN_THE_UNET,
    HINTS,
    Weights,
    count_transformers,
    hint_widths,
    kind_of_block,
    level_names,
    widths_of,
)

if TYPE_CHECKING:
    from ..pipelines import Config

LAYERS_PER_BLOCK = 2
AS_IN_SDXL = ("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")
DOWN_BLOCKS = ("CrossAttnDownBlock2D", "DownBlock2D")
MIDDLE_BLOCKS = ("UNetMidBlock2DCrossAttn", "UNetMidBlock2D")
"""With attention to the text, and without."""


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
    middle = "mid_block.attentions."
    levels = level_names(unet)
    transformers = [count_transformers(weights, level) for level in levels]
    # The middle block has as many as the last level, which may have no place for them.
    transformers[-1] = transformers[-1] or count_transformers(weights, middle)
    return {
        **{name: unet.get(name) for name in (*AS_IN_THE_UNET, *AS_IN_SDXL)},
        "block_out_channels": widths_of(weights, unet),
        "conditioning_channels": weights[f"{HINTS}.conv_in.weight"].shape[1],
        "conditioning_embedding_out_channels": hint_widths(weights),
        "down_block_types": [kind_of_block(weights, level, *DOWN_BLOCKS) for level in levels],
        "transformer_layers_per_block": transformers,
        "mid_block_type": kind_of_block(weights, middle, *MIDDLE_BLOCKS),
    }


CONTROLNETS = Source("ControlNetModel", _import_class, CONTROLNET, _rename, _configure)
