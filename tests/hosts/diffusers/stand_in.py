"""A model of the embedded one's shape with random weights, so that everything but meaning can be tested."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from animatediff_webui.hosts.diffusers.checkpoint import TOKENIZER
from motion_module import BaseModel, BetaSchedule, MotionModule, MotionModuleSpec, write_motion_module
from motion_module.positions import build_positions

WIDTHS = (32, 32, 64, 64)
SPEC = MotionModuleSpec(widths=WIDTHS, has_mid_block=True)
XL_SPEC = MotionModuleSpec(
    family="AnimateDiff-SDXL",
    base_model=BaseModel.SDXL,
    widths=WIDTHS[:3],
    beta_schedule=BetaSchedule.SCALED_LINEAR_SDXL,
)


def write_checkpoint(folder: Path, seed: int = 0) -> Path:
    """An SD1.5-shaped diffusers folder that draws 64x64 pixels."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=WIDTHS, layers_per_block=2, norm_num_groups=4,
        attention_head_dim=2, cross_attention_dim=16,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        _vae(), CLIPTextModel(_text()), _tokenizer(), unet, _scheduler("v_prediction"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def write_xl_checkpoint(folder: Path, seed: int = 0) -> Path:
    """An SDXL-shaped one."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=WIDTHS[:3], layers_per_block=2, norm_num_groups=4,
        attention_head_dim=(2, 4, 4), cross_attention_dim=32, transformer_layers_per_block=(1, 1, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )  # fmt: skip
    pipeline = StableDiffusionXLPipeline(
        _vae(), CLIPTextModel(_text()), CLIPTextModelWithProjection(_text()), _tokenizer(), _tokenizer(),
        unet, _scheduler("epsilon"), add_watermarker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def write_module(path: Path, spec: MotionModuleSpec = SPEC, seed: int = 0) -> Path:
    """A motion module with random weights that moves things: fresh ones add nothing."""
    torch.manual_seed(seed)
    module = MotionModule(spec)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
        for name, buffer in module.named_buffers():
            if name.endswith("pos_encoder.pe"):
                buffer.copy_(build_positions(buffer.shape[1], buffer.shape[2]))
    write_motion_module(module, path)
    return path


def _vae() -> AutoencoderKL:
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    return AutoencoderKL(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4, **blocks)


def _text() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16,
    )  # fmt: skip


def _tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(TOKENIZER)


def _scheduler(prediction_type: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1,
        prediction_type=prediction_type,
    )  # fmt: skip
