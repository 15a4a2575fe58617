"""SparseCtrls from single files: the names of their weights that they were published under, or diffusers'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from torch import Tensor

from motion_module.kinds import SPARSECTRL_ENCODER

from .files import NetworkClass, Source
from .shapes import AS_IN_THE_UNET, HINTS, Weights, hint_widths, kind_of_block, level_names, widths_of

if TYPE_CHECKING:
    from ..pipelines import Config

POSITIONS = ".pos_embed.pe"
"""Encodings that are computed, and that files have under another name or not at all."""
NUM_MASKS = 1
"""Channels beside the pictures' own that say where there are any."""
DOWN_BLOCKS = ("CrossAttnDownBlockMotion", "DownBlockMotion")


def _import_class() -> NetworkClass:
    from diffusers.models.controlnets.controlnet_sparsectrl import SparseControlNetModel

    return cast("NetworkClass", SparseControlNetModel)


def _rename(weights: Weights) -> Weights:
    from diffusers.loaders import single_file_utils

    # diffusers publishes no types for it.
    convert = cast(
        "Callable[[Mapping[str, Tensor]], dict[str, Tensor]]",
        single_file_utils.convert_animatediff_checkpoint_to_diffusers,  # pyright: ignore[reportUnknownMemberType]
    )
    return {key: value for key, value in convert(weights).items() if not key.endswith(POSITIONS)}


def _configure(weights: Weights, unet: Config) -> dict[str, object]:
    """The UNet's way down, with motion layers; pictures come in as latents, or through convolutions."""
    is_simple = f"{HINTS}.weight" in weights
    first = HINTS if is_simple else f"{HINTS}.conv_in"
    return {
        **{name: unet.get(name) for name in AS_IN_THE_UNET},
        "block_out_channels": widths_of(weights, unet),
        "conditioning_channels": weights[f"{first}.weight"].shape[1] - NUM_MASKS,
        "use_simplified_condition_embedding": is_simple,
        "conditioning_embedding_out_channels": None if is_simple else hint_widths(weights),
        "down_block_types": [kind_of_block(weights, level, *DOWN_BLOCKS) for level in level_names(unet)],
    }


SPARSECTRLS = Source(
    "SparseControlNetModel", _import_class, SPARSECTRL_ENCODER, _rename, _configure, computed=POSITIONS
)
