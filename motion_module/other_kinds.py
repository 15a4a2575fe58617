"""Files that people mistake for motion modules: what they are, and where they belong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from motion_module.names import BLOCK, NAMINGS, PREFIX


@dataclass(frozen=True)
class OtherKind:
    """A kind of file, told by any key of a form."""

    name: str
    key: str
    advice: str

    def owns(self, keys: Iterable[str]) -> bool:
        """Whether one of the keys has the kind's form."""
        return any(re.fullmatch(self.key, key) for key in keys)


SPARSECTRL_ENCODER = OtherKind(
    "a SparseCtrl encoder, which is a ControlNet",
    rf"{PREFIX}controlnet_(?:cond_embedding|down_blocks|mid_block)\..+",
    "put it with the ControlNet models, and choose it in a ControlNet unit",
)
LORA = OtherKind(
    "a LoRA",
    r".+(?:_lora\.(?:down|up)|\.lora\.(?:down|up)|\.lora_(?:down|up|A|B)(?:\.\w+)?)\.weight",
    "choose it as a LoRA",
)
OTHER_KINDS = (
    SPARSECTRL_ENCODER,
    LORA,
    OtherKind(
        "an image checkpoint",
        rf"model\.diffusion_model\..+|{PREFIX}{BLOCK}\.(?:resnets|attentions)\..+",
        "choose it as the checkpoint",
    ),
    OtherKind("a ControlNet", r"control_model\..+|.*input_hint_block\..+", "choose it in a ControlNet unit"),
    OtherKind("a VAE", r"(?:first_stage_model\.)?(?:encoder|decoder)\..+", "choose it as the VAE"),
)


def explain_lora(keys: Iterable[str], name: str) -> str:
    """Why a file is no LoRA for a motion module or the UNet."""
    keys = list(keys)
    if any(naming.match(key) for naming in NAMINGS for key in keys):
        return f"{name} is not a LoRA but a motion module: choose it as the motion module."
    return (
        f"{name} is not a LoRA: none of its {len(keys)} tensors is named as a LoRA's for a UNet are (tried: "
        "official, diffusers, PEFT and flattened names): choose a motion LoRA, such as v2_lora_PanLeft.ckpt."
    )


def explain(keys: Iterable[str], name: str) -> str:
    """Why a file is no motion module, and what it is instead."""
    keys = list(keys)
    kind = next((kind for kind in OTHER_KINDS if kind.owns(keys)), None)
    if kind is not None:
        return f"{name} is not a motion module but {kind.name}: {kind.advice}."
    tried = ", ".join(naming.name for naming in NAMINGS)
    return (
        f"{name} is not a motion module: none of its {len(keys)} tensors is named as a motion module's are "
        f"(tried: {tried}): choose a motion module, such as v3_sd15_mm.ckpt."
    )
