"""The names of LoRA weights: official, diffusers, PEFT and flattened ones, and the layer each is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from motion_module.names import PREFIX, rename_layer

Role = Literal["down", "up", "alpha"]

ROLES: dict[str, Role] = {"down": "down", "A": "down", "up": "up", "B": "up"}
SUFFIX = re.compile(
    r"(?P<layer>.+?)(?:[._]lora[._](?P<role>down|up|A|B)(?:\.\w+)?\.weight|\.(?P<alpha>alpha))"
)
"""`to_q_lora.down.weight`, `to_q.lora.down.weight`, `to_q.lora_A.default.weight`, `to_q.lora_down.weight`."""
FLAT_PREFIX = "lora_unet_"
WORDS = (
    r"down_blocks|up_blocks|mid_block|motion_modules|temporal_attentions|temporal_transformer"
    r"|transformer_blocks|attention_blocks|attentions|resnets|downsamplers|upsamplers|processor"
    r"|proj_in|proj_out|to_q|to_k|to_v|to_out|attn1|attn2|ff|net|proj|conv_shortcut|conv1|conv2|conv"
    r"|time_emb_proj|\d+"
)
"""What flattened names are made of: underscores between the words were dots."""


@dataclass(frozen=True)
class LoraKey:
    """layer: its official name, or diffusers' of a spatial one; role: which of its tensors."""

    layer: str
    role: Role


def parse_lora_key(key: str) -> LoraKey | None:
    """The layer and role that a LoRA's key names; None where it names no layer of a UNet."""
    match = SUFFIX.fullmatch(re.sub(rf"^{PREFIX}", "", key))
    if match is None:
        return None
    layer: str = match["layer"]
    if layer.startswith(FLAT_PREFIX):
        layer = unflatten(layer.removeprefix(FLAT_PREFIX)) or ""
    if not re.match(r"(?:down_blocks|mid_block|up_blocks)\.", layer):
        return None
    layer = re.sub(r"\.processor\.(\w+)$", r".\1", layer)
    layer = re.sub(r"\.to_out$", ".to_out.0", layer)
    return LoraKey(rename_layer(layer), "alpha" if match["alpha"] else ROLES[match["role"]])


def unflatten(name: str) -> str | None:
    """The dots of a flattened name, None where it has an unknown word in it."""
    if not re.fullmatch(rf"(?:{WORDS})(?:_(?:{WORDS}))*", name):
        return None
    return ".".join(re.findall(rf"(?:^|(?<=_))(?:{WORDS})(?=_|$)", name))
