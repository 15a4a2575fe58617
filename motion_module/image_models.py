"""Which image model a checkpoint is, or a UNet, ControlNet or LoRA is for, by its keys and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from motion_module.names import NUMBER, PREFIX
from motion_module.spec import BaseModel

LDM_BLOCK = re.compile(rf"(?:model\.diffusion_model|control_model)\.input_blocks\.({NUMBER})\..+")
LDM_BLOCKS_PER_LEVEL = 3
"""A level has two residual blocks, and something before or after them that changes the size."""
DIFFUSERS_BLOCK = re.compile(rf"{PREFIX}(?:lora_unet_)?(?:down|up)_blocks[._]({NUMBER})[._].+")
READS_TEXT = re.compile(
    r"(?!.*(?:motion_modules|temporal_attentions)).+[._]attn2[._](?:processor[._])?to_k(?:[._]lora[._](?:down|A)(?:\.\w+)?)?\.weight"
)
"""The projection (o i) of what the text encoder says, or a LoRA's first half of it, (r i)."""


@dataclass(frozen=True)
class ImageModel:
    """A row of the registry. context_width: of the text encoder's output. base_model: what motion modules are
    made for, None where none exist."""

    name: str
    num_levels: int
    context_width: int
    base_model: BaseModel | None


IMAGE_MODELS = (
    ImageModel("SD1.5", 4, 768, BaseModel.SD15),
    ImageModel("SDXL", 3, 2048, BaseModel.SDXL),
    ImageModel("SD2", 4, 1024, None),
    ImageModel("SDXL's refiner", 4, 1280, None),
)
"""By width where that is one of these; by levels, the first row of so many, for models of other widths."""


def detect_image_model(shapes: Mapping[str, tuple[int, ...]]) -> ImageModel | None:
    """The image model that tensors of these keys and shapes belong to; None where nothing tells."""
    width = _context_width(shapes)
    num_levels = _count_levels(shapes)
    by_width = [model for model in IMAGE_MODELS if model.context_width == width]
    by_levels = [model for model in IMAGE_MODELS if model.num_levels == num_levels]
    return next(iter(by_width + by_levels), None)


def _context_width(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    for key, shape in shapes.items():
        if len(shape) >= 2 and READS_TEXT.fullmatch(key):
            return shape[1]
    return None


def _count_levels(shapes: Mapping[str, object]) -> int | None:
    """Resolutions that there are layers for; None where that is no whole number."""
    ldm_blocks, levels = _count(LDM_BLOCK, shapes), _count(DIFFUSERS_BLOCK, shapes)
    if ldm_blocks % LDM_BLOCKS_PER_LEVEL:
        return None
    return ldm_blocks // LDM_BLOCKS_PER_LEVEL or levels


def _count(block: re.Pattern[str], keys: Mapping[str, object]) -> int:
    """How many blocks the keys number."""
    matches = (block.fullmatch(key) for key in keys)
    return 1 + max((int(match[1]) for match in matches if match), default=-1)
