"""A model of the embedded one's shape with random weights, so that everything but meaning can be tested."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from motion_module import MotionModule, MotionModuleSpec, write_motion_module
from standalone import embedded

WIDTHS = (32, 32, 64, 64)
SPEC = MotionModuleSpec(widths=WIDTHS, has_mid_block=True)


def write_checkpoint(folder: Path, seed: int = 0) -> Path:
    """An SD1.5-shaped diffusers folder that draws 64x64 pixels."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=WIDTHS, layers_per_block=2, norm_num_groups=4,
        attention_head_dim=2, cross_attention_dim=16,
    )  # fmt: skip
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4, **blocks)
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1,
        prediction_type="v_prediction",
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae, CLIPTextModel(text), CLIPTokenizer.from_pretrained(embedded.TOKENIZER), unet, scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def write_module(path: Path, seed: int = 0) -> Path:
    """A motion module with random weights that moves things: fresh ones add nothing."""
    torch.manual_seed(seed)
    module = MotionModule(SPEC)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    write_motion_module(module, path)
    return path
