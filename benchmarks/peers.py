"""diffusers' network with our weights: the peer that the same is asked of."""

from __future__ import annotations

from collections.abc import Callable

from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from einops import rearrange
from torch import Tensor, nn

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
    _normalise_per_frame(peer.norm)
    peer = peer.to(weight.device, weight.dtype).eval().requires_grad_(False)
    return lambda hidden, num_frames: peer(hidden, num_frames=num_frames)


def _renamed(layer: MotionLayer) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in layer.temporal_transformer.state_dict().items():
        for official, diffusers in NAMES.items():
            name = name.replace(official, diffusers)
        renamed[name] = tensor
    return renamed


def _normalise_per_frame(norm: nn.GroupNorm) -> None:
    """diffusers normalises over all frames of a clip, but files are trained with a norm of each frame."""
    whole = norm.forward

    def forward(input: Tensor) -> Tensor:  # named as the method it stands in for
        frames = whole(rearrange(input, "b c f h w -> (b f) c h w"))
        return rearrange(frames, "(b f) c h w -> b c f h w", f=input.shape[2])

    norm.forward = forward
