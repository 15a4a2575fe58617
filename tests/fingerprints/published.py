"""The keys and shapes of the published files, put down from their descriptions and not from our own code.

`python -m tests.fingerprints.published` writes them, at full size, as the JSON files of this folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Shapes = dict[str, tuple[int, ...]]
FOLDER = Path(__file__).parent

SD15_WIDTHS = (320, 640, 1280, 1280)
SDXL_WIDTHS = (320, 640, 1280)


def layer_parts(channels: int, positions: int | None) -> Shapes:
    """One temporal layer's parameters, by their official names."""
    c = channels
    parts: Shapes = {"norm.weight": (c,), "norm.bias": (c,)}
    for name in ("proj_in", "proj_out"):
        parts |= {f"{name}.weight": (c, c), f"{name}.bias": (c,)}
    for k in (0, 1):
        attention = f"transformer_blocks.0.attention_blocks.{k}"
        parts |= {f"{attention}.{name}.weight": (c, c) for name in ("to_q", "to_k", "to_v", "to_out.0")}
        parts[f"{attention}.to_out.0.bias"] = (c,)
        if positions:
            parts[f"{attention}.pos_encoder.pe"] = (1, positions, c)
        parts |= {f"transformer_blocks.0.norms.{k}.{affine}": (c,) for affine in ("weight", "bias")}
    block = "transformer_blocks.0"
    parts |= {f"{block}.ff.net.0.proj.weight": (8 * c, c), f"{block}.ff.net.0.proj.bias": (8 * c,)}
    parts |= {f"{block}.ff.net.2.weight": (c, 4 * c), f"{block}.ff.net.2.bias": (c,)}
    return parts | {f"{block}.ff_norm.weight": (c,), f"{block}.ff_norm.bias": (c,)}


def official_key(block: str, layer: int, part: str) -> str:
    return f"{block}.motion_modules.{layer}.temporal_transformer.{part}"


def hotshot_key(block: str, layer: int, part: str) -> str:
    part = part.replace("pos_encoder.pe", "pos_encoder.positional_encoding")
    return f"{block}.temporal_attentions.{layer}.{part}"


def diffusers_key(block: str, layer: int, part: str) -> str:
    for ours, theirs in (
        ("attention_blocks.0.pos_encoder", "pos_embed"),
        ("attention_blocks.1.pos_encoder", "pos_embed"),
        ("attention_blocks.0", "attn1"),
        ("attention_blocks.1", "attn2"),
        ("ff_norm", "norm3"),
        ("norms.0", "norm1"),
        ("norms.1", "norm2"),
    ):
        part = part.replace(ours, theirs)
    return f"{block}.motion_modules.{layer}.{part}"


def picture_encoder_shapes(widths: tuple[int, ...]) -> Shapes:
    """AnimateLCM-I2V's: a convolution, and two blocks a level, of which a first one may change the width."""
    shapes: Shapes = {
        "img_encoder.conv_in.weight": (widths[0], 4, 3, 3),
        "img_encoder.conv_in.bias": (widths[0],),
    }
    for number in range(2 * len(widths)):
        block, c = f"img_encoder.body.{number}", widths[number // 2]
        before = widths[max(number - 1, 0) // 2]
        if before != c:
            shapes |= {f"{block}.in_conv.weight": (c, before, 1, 1), f"{block}.in_conv.bias": (c,)}
        shapes |= {f"{block}.block1.weight": (c, c, 3, 3), f"{block}.block1.bias": (c,)}
        shapes |= {f"{block}.block2.weight": (c, c, 1, 1), f"{block}.block2.bias": (c,)}
    return shapes


@dataclass(frozen=True)
class Published:
    """A published motion module; positions: how many encodings it stores, None without."""

    family: str
    file_name: str
    key: Callable[[str, int, str], str] = official_key
    widths: tuple[int, ...] = SD15_WIDTHS
    mid_block: bool = False
    positions: int | None = 32
    conv_in_channels: int = 0
    picture_encoder: bool = False

    def sites(self, widths: tuple[int, ...]) -> list[tuple[str, int, int]]:
        """(block, layer, channels) of each temporal layer."""
        down = [(f"down_blocks.{i}", j, c) for i, c in enumerate(widths) for j in range(2)]
        up = [(f"up_blocks.{i}", j, c) for i, c in enumerate(reversed(widths)) for j in range(3)]
        return down + ([("mid_block", 0, widths[-1])] if self.mid_block else []) + up

    def shapes(self, widths: tuple[int, ...] | None = None) -> Shapes:
        """Every key of the file with its shape; at other widths where asked."""
        widths = widths or self.widths
        shapes: Shapes = {}
        for block, layer, channels in self.sites(widths):
            for part, shape in layer_parts(channels, self.positions).items():
                shapes[self.key(block, layer, part)] = shape
        if self.conv_in_channels:
            shapes |= {
                "conv_in.weight": (widths[0], self.conv_in_channels, 3, 3),
                "conv_in.bias": (widths[0],),
            }
        return shapes | (picture_encoder_shapes(widths) if self.picture_encoder else {})


MOTION_MODULES = (
    Published("AnimateDiff v1", "mm_sd_v15", positions=24),
    Published("AnimateDiff v2", "mm_sd_v15_v2", mid_block=True),
    Published("AnimateDiff v3", "v3_sd15_mm"),
    Published("AnimateDiff-Lightning", "animatediff_lightning_4step_comfyui", mid_block=True),
    Published("AnimateLCM", "AnimateLCM_sd15_t2v", mid_block=True, positions=None),
    Published("LongAnimateDiff", "lt_long_mm_16_64_frames_v1.1", mid_block=True, positions=64),
    Published("LongAnimateDiff (32 frames)", "lt_long_mm_32_frames", mid_block=True, positions=64),
    Published("PIA", "pia", mid_block=True, conv_in_channels=9),
    Published("AnimateLCM-I2V", "AnimateLCM_sd15_i2v", mid_block=True, positions=None, picture_encoder=True),
    Published("HelloMeme", "hm_animatediff", key=diffusers_key, mid_block=True),
    Published(
        "diffusers MotionAdapter", "motion-adapter-v1-5-2", diffusers_key, mid_block=True, positions=None
    ),
    Published(
        "diffusers MotionAdapter", "motion-adapter-sdxl-beta", diffusers_key, SDXL_WIDTHS, positions=None
    ),
    Published("HotShot-XL", "hsxl_temporal_layers", hotshot_key, SDXL_WIDTHS, positions=24),
    Published("HotShot-XL", "hsxl_temporal_layers_renamed", official_key, SDXL_WIDTHS, positions=24),
    Published("AnimateDiff-SDXL", "mm_sdxl_v10_beta", official_key, SDXL_WIDTHS),
)


def motion_lora(rank: int = 32, widths: tuple[int, ...] = SD15_WIDTHS) -> Shapes:
    """v2_lora_PanLeft.ckpt and its like: low-rank pairs on the attentions of AnimateDiff v2."""
    shapes: Shapes = {}
    for block, layer, channels in Published("", "").sites(widths):
        for k in (0, 1):
            for name in ("to_q", "to_k", "to_v", "to_out"):
                part = f"transformer_blocks.0.attention_blocks.{k}.processor.{name}_lora"
                shapes[f"{official_key(block, layer, part)}.down.weight"] = (rank, channels)
                shapes[f"{official_key(block, layer, part)}.up.weight"] = (channels, rank)
    return shapes


def domain_adapter(rank: int = 4, widths: tuple[int, ...] = SD15_WIDTHS, context: int = 768) -> Shapes:
    """v3_sd15_adapter.ckpt: low-rank pairs on the image UNet's own attentions."""
    shapes: Shapes = {}
    down = [(f"down_blocks.{i}.attentions.{j}", widths[i]) for i in range(3) for j in range(2)]
    up = [(f"up_blocks.{i}.attentions.{j}", widths[3 - i]) for i in range(1, 4) for j in range(3)]
    for place, channels in [*down, ("mid_block.attentions.0", widths[-1]), *up]:
        for attention in ("attn1", "attn2"):
            for name in ("to_q", "to_k", "to_v", "to_out"):
                key = f"{place}.transformer_blocks.0.{attention}.processor.{name}_lora"
                inputs = context if attention == "attn2" and name in ("to_k", "to_v") else channels
                shapes |= {f"{key}.down.weight": (rank, inputs), f"{key}.up.weight": (channels, rank)}
    return shapes


def sparsectrl_encoder(widths: tuple[int, ...] = SD15_WIDTHS) -> Shapes:
    """v3_sd15_sparsectrl_rgb.ckpt, by what tells it: a ControlNet whose motion layers have one attention."""
    shapes: Shapes = {"controlnet_cond_embedding.weight": (widths[0], 5, 3, 3)}
    shapes |= {f"controlnet_down_blocks.{i}.weight": (widths[0], widths[0], 1, 1) for i in range(12)}
    for block, layer, channels in Published("", "").sites(widths):
        if block.startswith("down_blocks"):
            parts = layer_parts(channels, 32)
            kept = {p: parts[p] for p in parts if "attention_blocks.1" not in p and "norms.1" not in p}
            shapes |= {official_key(block, layer, part): shape for part, shape in kept.items()}
    return shapes


def camera_ctrl(widths: tuple[int, ...] = SD15_WIDTHS, positions: int = 16) -> dict[str, Shapes]:
    """CameraCtrl.ckpt, by its two parts: an encoder of a level for each of the UNet's, and merging layers."""
    encoder: Shapes = {
        "encoder_conv_in.weight": (widths[0], 384, 3, 3),
        "encoder_conv_in.bias": (widths[0],),
    }
    for level, c in enumerate(widths):
        for number in range(2):
            block = f"encoder_down_conv_blocks.{level}.{number}"
            before = widths[max(level - 1, 0)] if number == 0 else c
            if before != c:
                encoder |= {f"{block}.in_conv.weight": (c, before, 1, 1), f"{block}.in_conv.bias": (c,)}
            encoder |= {f"{block}.block1.weight": (c, c, 3, 3), f"{block}.block1.bias": (c,)}
            encoder |= {f"{block}.block2.weight": (c, c, 1, 1), f"{block}.block2.bias": (c,)}
            temporal = f"encoder_down_attention_blocks.{level}.{number}"
            for part, shape in layer_parts(c, positions).items():
                if part.startswith("transformer_blocks.0.") and ".1." not in part:
                    encoder[f"{temporal}.{part.removeprefix('transformer_blocks.0.')}"] = shape
    merges: Shapes = {}
    for block, layer, c in Published("", "").sites(widths):
        part = "transformer_blocks.0.attention_blocks.0.processor.qkv_merge"
        merges[official_key(block, layer, f"{part}.weight")] = (c, c)
        merges[official_key(block, layer, f"{part}.bias")] = (c,)
    return {"pose_encoder_state_dict": encoder, "attention_processor_state_dict": merges}


def write() -> None:
    """Write every file's fingerprint at full size."""
    fingerprints = {published.file_name: published.shapes() for published in MOTION_MODULES}
    fingerprints |= {
        "v2_lora_PanLeft": motion_lora(),
        "v3_sd15_adapter": domain_adapter(),
        "v3_sd15_sparsectrl_rgb": sparsectrl_encoder(),
        "CameraCtrl": {key: shape for part in camera_ctrl().values() for key, shape in part.items()},
    }
    for name, shapes in fingerprints.items():
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(shape)}" for key, shape in shapes.items())
        (FOLDER / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    write()
