"""A pipeline's weights under the names that single-file checkpoints have."""

from __future__ import annotations

import re
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

_RESNET = [
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"), ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
]  # fmt: skip
_UNET = [
    ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"), ("add_embedding.linear_2", "label_emb.0.2"),
    ("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"),
    ("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"),
    ("mid_block.resnets.1", "middle_block.2"),
]  # fmt: skip
_VAE = [
    ("mid_block.resnets.0", "mid.block_1"), ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0", "mid.attn_1"), ("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"),
    ("to_v", "v"), ("to_out.0", "proj_out"), ("conv_norm_out", "norm_out"), ("conv_shortcut", "nin_shortcut"),
]  # fmt: skip


def write_single_file(pipeline, path: Path) -> Path:
    """Write an SD1.5-shaped pipeline as one file."""
    tensors = {f"model.diffusion_model.{unet_name(key)}": value for key, value in _weights(pipeline.unet)}
    for key, value in _weights(pipeline.vae):
        name = _vae_name(key)
        attention = ".attn_1." in name and name.endswith("weight") and ".norm." not in name
        tensors[f"first_stage_model.{name}"] = value[..., None, None] if attention else value
    for key, value in _weights(pipeline.text_encoder):
        prefix = "" if key.startswith("text_model.") else "text_model."
        tensors[f"cond_stage_model.transformer.{prefix}{key}"] = value
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return path


def _weights(module) -> list[tuple[str, Tensor]]:
    return list(module.state_dict().items())


def unet_name(key: str) -> str:
    def down(found: re.Match[str]) -> str:
        place = 3 * int(found[1]) + int(found[3]) + 1
        kind = {"resnets": "0", "attentions": "1", "downsamplers": "0.op"}[found[2]]
        return f"input_blocks.{place + (2 if found[2] == 'downsamplers' else 0)}.{kind}"

    def up(found: re.Match[str]) -> str:
        place = 3 * int(found[1]) + int(found[3])
        if found[2] == "upsamplers":
            return f"output_blocks.{place + 2}.{1 if found[1] == '0' else 2}"
        return f"output_blocks.{place}.{'0' if found[2] == 'resnets' else '1'}"

    for old, new in _UNET:
        key = re.sub(rf"^{re.escape(old)}\.", f"{new}.", key)
    key = re.sub(r"^down_blocks\.(\d)\.(resnets|attentions)\.(\d)(?=\.)", down, key)
    key = re.sub(r"^down_blocks\.(\d)\.(downsamplers)\.(\d)\.conv(?=\.)", down, key)
    key = re.sub(r"^up_blocks\.(\d)\.(resnets|attentions|upsamplers)\.(\d)(?=\.)", up, key)
    if "transformer_blocks" not in key:
        for old, new in _RESNET:
            key = key.replace(f".{old}.", f".{new}.")
    return key


def _vae_name(key: str) -> str:
    for old, new in _VAE:
        key = re.sub(rf"(?<![a-z_]){re.escape(old)}\.", f"{new}.", key)
    key = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets\.", lambda found: f"up.{3 - int(found[1])}.block.", key)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0\.", lambda found: f"up.{3 - int(found[1])}.upsample.", key)
