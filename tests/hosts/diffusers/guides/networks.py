"""Networks that fit the stand-in checkpoints, with random weights: fresh ones add nothing."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import ControlNetModel, SparseControlNetModel
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.hosts.diffusers.single_file import unet_name

HINT_WIDTHS = (4, 8, 8, 8)


def fresh_controlnet(unet, seed: int = 0, **changes) -> ControlNetModel:
    """A ControlNet for a UNet; `changes` of its configuration."""
    torch.manual_seed(seed)
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=HINT_WIDTHS)
    if changes:
        network = ControlNetModel.from_config({**network.config, **changes})
    return shaken(network)


def fresh_sparsectrl(unet, seed: int = 0, *, takes_latents: bool = True) -> SparseControlNetModel:
    """A SparseCtrl for a UNet, RGB, or scribble, which takes pixels."""
    torch.manual_seed(seed)
    network = SparseControlNetModel(
        conditioning_channels=4 if takes_latents else 3, block_out_channels=unet.config.block_out_channels,
        norm_num_groups=unet.config.norm_num_groups, attention_head_dim=unet.config.attention_head_dim,
        cross_attention_dim=unet.config.cross_attention_dim, conditioning_embedding_out_channels=HINT_WIDTHS,
        use_simplified_condition_embedding=takes_latents,
    )  # fmt: skip
    return shaken(network)


def write_sparsectrl_file(network: SparseControlNetModel, path: Path) -> Path:
    """Write a SparseCtrl under the names of its motion layers that its authors published it with."""
    tensors: dict[str, torch.Tensor] = {}
    for key, value in network.state_dict().items():
        site, layer, tail = key.partition(".motion_modules.")
        if layer:
            number, tail = tail.split(".", 1)
            for theirs, official in OFFICIAL:
                tail = tail.replace(theirs, official)
            key = f"{site}{layer}{number}.temporal_transformer.{tail}"
        tensors[key] = value
    torch.save({"controlnet": tensors}, path)
    return path


OFFICIAL = (
    ("pos_embed.pe", "attention_blocks.0.pos_encoder.pe"), (".attn1.", ".attention_blocks.0."),
    (".norm1.", ".norms.0."), (".norm3.", ".ff_norm."),
)  # fmt: skip


def shaken(network):
    """What begins as zero is random, so that the network acts."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return network.eval()


def write_controlnet_file(network: ControlNetModel, path: Path) -> Path:
    """Write a ControlNet under the names that its authors published it with."""
    tensors = {
        f"control_model.{_name(key)}": value.contiguous() for key, value in network.state_dict().items()
    }
    save_file(tensors, path)
    return path


def _name(key: str) -> str:
    key = re.sub(r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0.", key)
    key = key.replace("controlnet_mid_block.", "middle_block_out.0.")
    key = key.replace("controlnet_cond_embedding.conv_in.", "input_hint_block.0.")
    key = key.replace("controlnet_cond_embedding.conv_out.", "input_hint_block.14.")
    key = re.sub(
        r"^controlnet_cond_embedding\.blocks\.(\d+)\.",
        lambda found: f"input_hint_block.{2 * int(found[1]) + 2}.",
        key,
    )
    return unet_name(key)


def write_ip_adapter(unet, folder: Path, seed: int = 0, kind: str = "plain") -> Path:
    """Write an IP-Adapter for a UNet, with a tiny image encoder beside it, as they are published; `kind` is
    plain, plus or full, for faces as a whole."""
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=8, projection_dim=12,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    width = unet.config.cross_attention_dim
    shapes = PROJECTIONS[kind](width)
    tensors = {f"image_proj.{key}": torch.randn(shape) for key, shape in shapes.items()}
    for key in [key for key, shape in shapes.items() if len(shape) == 1 and key.endswith(".weight")]:
        norm = f"image_proj.{key.removesuffix('.weight')}"
        tensors |= {f"{norm}.weight": torch.ones(shapes[key]), f"{norm}.bias": torch.zeros(shapes[key])}
    attentions = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, name in enumerate(attentions):
        hidden = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
        for key in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{2 * number + 1}.{key}.weight"] = torch.randn(hidden, width) * 0.3
    path = folder / "ip-adapter.safetensors"
    save_file(tensors, path)
    return path


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _plain_projection(width: int) -> dict[str, tuple[int, ...]]:
    return {"proj.weight": (4 * width, 12), "proj.bias": (4 * width,), **_norm("norm", width)}


def _full_projection(width: int) -> dict[str, tuple[int, ...]]:
    first = {"proj.0.weight": (16, 16), "proj.0.bias": (16,)}
    return {**first, "proj.2.weight": (width, 16), "proj.2.bias": (width,), **_norm("proj.3", width)}


def _plus_projection(width: int, hidden: int = 24, heads: int = 1) -> dict[str, tuple[int, ...]]:
    shapes = {
        "latents": (1, 3, hidden), "proj_in.weight": (hidden, 16), "proj_in.bias": (hidden,),
        "proj_out.weight": (width, hidden), "proj_out.bias": (width,), **_norm("norm_out", width),
    }  # fmt: skip
    inner = 64 * heads
    for layer in range(4):
        at, behind = f"layers.{layer}.0", f"layers.{layer}.1"
        shapes |= {
            **_norm(f"{at}.norm1", hidden),
            **_norm(f"{at}.norm2", hidden),
            **_norm(f"{behind}.0", hidden),
        }
        shapes |= {f"{at}.to_q.weight": (inner, hidden), f"{at}.to_kv.weight": (2 * inner, hidden)}
        shapes |= {f"{at}.to_out.weight": (hidden, inner), f"{behind}.1.weight": (4 * hidden, hidden)}
        shapes |= {f"{behind}.3.weight": (hidden, 4 * hidden)}
    return shapes


PROJECTIONS = {"plain": _plain_projection, "plus": _plus_projection, "full": _full_projection}
