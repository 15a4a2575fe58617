"""LoRA files for motion modules: which layers they change, and by what."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from motion_module.checkpoints import read_checkpoint
from motion_module.errors import BrokenMotionModuleError, NotAMotionLoraError
from motion_module.lora_names import Role, parse_lora_key
from motion_module.names import OFFICIAL
from motion_module.other_kinds import LORA, explain_lora


@dataclass(frozen=True)
class LowRank:
    """What a LoRA adds to one layer's weight at strength 1: scale * up @ down, (o r) and (r i)."""

    down: Tensor
    up: Tensor
    scale: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]


@dataclass(frozen=True)
class MotionLora:
    """A LoRA by the layers it changes.

    temporal: of the motion module, by official name. spatial: of the image UNet, by diffusers' name; the host
    applies it. others: tensors that name no layer of either, such as a text encoder's, under their own keys.
    """

    name: str
    temporal: Mapping[str, LowRank]
    spatial: Mapping[str, LowRank]
    others: Mapping[str, Tensor]

    @property
    def kind(self) -> str:
        """In words, what the file is."""
        if not self.temporal:
            return "spatial LoRA"
        return "motion LoRA with a spatial part" if self.spatial else "motion LoRA"


def load_motion_lora(path: str | os.PathLike[str]) -> MotionLora:
    """The LoRA of a file, in any naming; NotAMotionLoraError where the file is something else."""
    path = Path(path)
    return build_motion_lora(read_checkpoint(path).tensors, path.stem)


def detect_motion_lora(tensors: Mapping[str, Tensor], name: str = "") -> MotionLora | None:
    """The LoRA that these weights are, None where they are none."""
    return build_motion_lora(tensors, name) if LORA.owns(tensors) else None


def build_motion_lora(tensors: Mapping[str, Tensor], name: str = "") -> MotionLora:
    """The LoRA that these weights are; BrokenMotionModuleError where a layer has only half of its tensors."""
    parts: defaultdict[str, dict[Role, Tensor]] = defaultdict(dict)
    others: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if parsed := parse_lora_key(key):
            parts[parsed.layer][parsed.role] = tensor
        else:
            others[key] = tensor
    if not parts:
        raise NotAMotionLoraError(explain_lora(tensors, name or "This"))
    layers = {layer: _build_low_rank(layer, roles, name) for layer, roles in parts.items()}
    temporal = {layer: delta for layer, delta in layers.items() if OFFICIAL.match(layer)}
    spatial = {layer: delta for layer, delta in layers.items() if layer not in temporal}
    return MotionLora(name, temporal, spatial, others)


def _build_low_rank(layer: str, roles: Mapping[Role, Tensor], name: str) -> LowRank:
    for role in ("down", "up"):
        if role not in roles:
            raise BrokenMotionModuleError(
                f"LoRA {name} lacks the {role} weight of {layer}, which it changes: get the complete file."
            )
    rank = roles["down"].shape[0]
    if roles["up"].shape[1] != rank:
        raise BrokenMotionModuleError(
            f"LoRA {name} has rank {rank} in the down weight of {layer}, but {roles['up'].shape[1]} in the "
            "up weight: get the complete file."
        )
    scale = float(roles["alpha"]) / rank if "alpha" in roles else 1.0
    return LowRank(roles["down"], roles["up"], scale)


def peft_state_dict(lora: MotionLora) -> dict[str, Tensor]:
    """The spatial part for diffusers' `load_lora_weights`, the scale in the up weights; no others."""
    weights: dict[str, Tensor] = {}
    for layer, delta in lora.spatial.items():
        weights[f"unet.{layer}.lora_A.weight"] = delta.down
        weights[f"unet.{layer}.lora_B.weight"] = delta.up * delta.scale
    return weights


def webui_state_dict(lora: MotionLora) -> dict[str, Tensor]:
    """The spatial part under the WebUI's flattened names, and the others as they were."""
    weights = dict(lora.others)
    for layer, delta in lora.spatial.items():
        flat = f"lora_unet_{layer.replace('.', '_')}"
        weights[f"{flat}.lora_down.weight"] = delta.down
        weights[f"{flat}.lora_up.weight"] = delta.up
        weights[f"{flat}.alpha"] = delta.down.new_tensor(delta.scale * delta.rank)
    return weights
