"""LoRA files: which layers they change, and by what."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from motion_module.errors import BrokenMotionModuleError, NotAMotionLoraError, shorten
from motion_module.kinds import LORA, LORAS, detect_kind, explain_misfit
from motion_module.lora.names import Role, parse_lora_key
from motion_module.names import OFFICIAL
from motion_module.weight_values import check_values
from motion_module.weights_files import read_weights


@dataclass(frozen=True)
class LowRank:
    """What a LoRA adds to one layer's weight at strength 1: scale * up @ down, (o r) and (r i).

    A convolution's halves may have two more axes, `r i h w` and `o r 1 1`.
    """

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
            return "UNet LoRA"
        return "motion LoRA with a UNet part" if self.spatial else "motion LoRA"


def load_motion_lora(path: str | os.PathLike[str]) -> MotionLora:
    """The LoRA of a file, in any naming.

    NotAMotionLoraError: the file is something else, or changes no layer of a UNet. BrokenMotionModuleError:
    it has shapes or values that none can have.
    """
    path = Path(path)
    return build_motion_lora(read_weights(path).tensors, path.stem)


def detect_motion_lora(tensors: Mapping[str, Tensor], name: str = "") -> MotionLora | None:
    """The LoRA that these weights are, None where they are none."""
    return build_motion_lora(tensors, name) if detect_kind(tensors) in LORAS else None


def build_motion_lora(tensors: Mapping[str, Tensor], name: str = "") -> MotionLora:
    """The LoRA that these weights are.

    NotAMotionLoraError where they are none. BrokenMotionModuleError where a layer has only half of its
    tensors, or shapes or values that none can have.
    """
    parts: defaultdict[str, dict[Role, Tensor]] = defaultdict(dict)
    others: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        lora_key = parse_lora_key(key)
        if lora_key is None:
            others[key] = tensor
        else:
            parts[lora_key.layer][lora_key.role] = tensor
    if not parts:
        raise NotAMotionLoraError(_explain(tensors, name or "This"))
    temporal: dict[str, LowRank] = {}
    spatial: dict[str, LowRank] = {}
    for layer, roles in parts.items():
        if OFFICIAL.match(layer):
            temporal[layer] = _as_linear(_build_low_rank(layer, roles, name), layer, name)
        else:
            spatial[layer] = _build_low_rank(layer, roles, name)
    return MotionLora(name, temporal, spatial, others)


def _explain(tensors: Mapping[str, Tensor], name: str) -> str:
    if detect_kind(tensors) in LORAS:
        return (
            f"{shorten(name)} is a LoRA, but none of its {len(tensors)} tensors names a layer of a UNet as "
            f"{LORA.forms} do: choose another LoRA."
        )
    return explain_misfit(tensors, name, LORA)


def _build_low_rank(layer: str, roles: Mapping[Role, Tensor], name: str) -> LowRank:
    shown = f"LoRA {shorten(name)}"
    for role in ("down", "up"):
        if role not in roles:
            raise BrokenMotionModuleError(
                f"{shown} lacks the {role} weight of {layer}, which it changes: get the complete file."
            )
        _check_half(f"{shown} has a {role} weight of {layer}", roles[role])
        check_values(f"The {role} weight of {layer}", roles[role], shown)
    down, up = roles["down"], roles["up"]
    if up.shape[1] != down.shape[0]:
        raise BrokenMotionModuleError(
            f"{shown} has rank {down.shape[0]} in the down weight of {layer}, but {up.shape[1]} in the "
            "up weight: get the complete file."
        )
    alpha = _read_alpha(layer, roles["alpha"], shown) if "alpha" in roles else len(down)
    return LowRank(down, up, alpha / len(down))


def _check_half(of_what: str, half: Tensor) -> None:
    if half.ndim not in (2, 4) or not half.numel():
        raise BrokenMotionModuleError(
            f"{of_what} with the shape {tuple(half.shape)}, where a matrix was expected: get the complete "
            "file."
        )


def _read_alpha(layer: str, alpha: Tensor, name: str) -> float:
    if alpha.numel() != 1 or alpha.is_complex():
        raise BrokenMotionModuleError(
            f"{name} has an alpha of {layer} with the shape {tuple(alpha.shape)} and the dtype "
            f"{alpha.dtype}, where one number was expected: get the complete file."
        )
    check_values(f"The alpha of {layer}", alpha.float(), name)
    return float(alpha)


def _as_linear(delta: LowRank, layer: str, name: str) -> LowRank:
    """Both halves as matrices, which a temporal layer's are."""
    for half in (delta.down, delta.up):
        if half.shape[2:].numel() != 1:
            raise BrokenMotionModuleError(
                f"LoRA {shorten(name)} changes {layer} by a convolution of the shape {tuple(half.shape)}, "
                "but that layer is linear: use the program it was made for."
            )
    return LowRank(delta.down.flatten(1), delta.up.flatten(1), delta.scale)


def peft_state_dict(lora: MotionLora) -> dict[str, Tensor]:
    """The spatial part for diffusers' `load_lora_weights`, the scale in the up weights; no others."""
    weights: dict[str, Tensor] = {}
    for layer, delta in lora.spatial.items():
        weights[f"unet.{layer}.lora_A.weight"] = delta.down
        weights[f"unet.{layer}.lora_B.weight"] = delta.up * delta.scale
    return weights
