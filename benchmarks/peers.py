"""diffusers' networks and pipeline with our weights: the peers that the same is asked of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import (
    AnimateDiffTransformer3D,
    MotionAdapter,
    UNetMotionModel,
)
from diffusers.pipelines.animatediff.pipeline_animatediff import AnimateDiffPipeline
from einops import rearrange
from torch import Tensor, nn

from animatediff_webui.hosts.diffusers.animator import Animator
from animatediff_webui.hosts.diffusers.samplers import build_scheduler, find_sampler
from motion_module.module import MotionModule
from motion_module.names import DIFFUSERS, from_official
from motion_module.network import MotionLayer

NAMES = {
    "attention_blocks.0.": "attn1.",
    "attention_blocks.1.": "attn2.",
    "norms.0.": "norm1.",
    "norms.1.": "norm2.",
    "ff_norm.": "norm3.",
}
"""Official names of a block's parts, and diffusers'."""


def diffusers_layer(layer: MotionLayer) -> Callable[[Tensor, int], Tensor]:
    """diffusers' temporal layer with the same weights; called with `(b f) c h w` and f."""
    weight = layer.temporal_transformer.proj_in.weight
    channels = weight.shape[0]
    peer = AnimateDiffTransformer3D(
        num_attention_heads=8,
        attention_head_dim=channels // 8,
        in_channels=channels,
        activation_fn="geglu",
        attention_bias=False,
        positional_embeddings="sinusoidal",
        num_positional_embeddings=32,
    )
    peer.load_state_dict(_renamed(layer), strict=False)
    normalise_per_frame(peer.norm)
    peer = peer.to(weight.device, weight.dtype).eval().requires_grad_(False)
    return lambda hidden, num_frames: peer(hidden, num_frames=num_frames)


def diffusers_unet(unet: UNet2DConditionModel, module: MotionModule) -> UNetMotionModel:
    """diffusers' UNet with the weights of both, normalising each frame for itself."""
    spec = module.spec
    adapter = MotionAdapter(block_out_channels=spec.widths, use_motion_mid_block=spec.has_mid_block)
    official = {
        name: tensor for name, tensor in module.state_dict().items() if not name.endswith("pos_encoder.pe")
    }
    adapter.load_state_dict(from_official(official, DIFFUSERS), strict=False)
    model: Any = UNetMotionModel.from_unet2d(unet, adapter)  # Any: diffusers types it as what it may not be
    if model.config.addition_embed_type:  # diffusers copies all of the UNet's weights but these
        model.add_embedding.load_state_dict(unet.add_embedding.state_dict())
    for layer in model.modules():
        if isinstance(layer, AnimateDiffTransformer3D):
            layer.norm.num_groups = 32  # as files have it, whatever the UNet has
            normalise_per_frame(layer.norm)
    return model.eval()


def diffusers_pipeline(animator: Animator, sampler_name: str) -> AnimateDiffPipeline:
    """diffusers' pipeline with an animator's models and the scheduler of its motion module."""
    pipeline: Any = animator.pipeline  # Any: its protocol is no class of diffusers'
    module: Any = animator.module
    sampler, options = find_sampler(sampler_name)
    peer = AnimateDiffPipeline(
        vae=pipeline.vae,
        text_encoder=pipeline.text_encoder,
        tokenizer=pipeline.tokenizer,
        unet=diffusers_unet(pipeline.unet, module),
        # What it would add is in the UNet; FreeNoise asks it for the longest clip that it knows.
        motion_adapter=MotionAdapter(block_out_channels=module.spec.widths),
        scheduler=cast(
            "Any", build_scheduler(sampler, options, pipeline.scheduler.config, module.spec.beta_schedule)
        ),
    )
    peer.set_progress_bar_config(disable=True)
    return peer


def enable_free_noise(pipeline: AnimateDiffPipeline, length: int, hop: int) -> None:
    """Windows of `length` frames that are `hop` apart, by diffusers' FreeNoise."""
    middle: Any = pipeline.unet.mid_block
    has_motion = hasattr(middle, "motion_modules")
    if not has_motion:
        middle.motion_modules = nn.ModuleList()  # which it wants to look through, also of modules without
    pipeline.enable_free_noise(length, hop)
    if not has_motion:
        del middle.motion_modules


def _renamed(layer: MotionLayer) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in layer.temporal_transformer.state_dict().items():
        for official, diffusers in NAMES.items():
            name = name.replace(official, diffusers)
        renamed[name] = tensor
    return renamed


def normalise_per_frame(norm: nn.GroupNorm) -> None:
    """diffusers normalises over all frames of a clip, but files are trained with a norm of each frame."""
    whole = norm.forward

    def forward(input: Tensor) -> Tensor:  # named as the method it stands in for
        frames = whole(rearrange(input, "b c f h w -> (b f) c h w"))
        return rearrange(frames, "(b f) c h w -> b c f h w", f=input.shape[2])

    norm.forward = forward
