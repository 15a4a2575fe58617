"""The temporal transformer of AnimateDiff (Guo et al., arXiv 2307.04725), under its official names.

Hidden states come and go as `(b f) c h w`. In between they are tokens `r f c`, one row for each clip and
spatial position: attention runs over the frames of one position, and everything else acts on single tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module.layers import GroupNorm, LayerNorm, Linear, ZeroLinear
from motion_module.runtime import Runtime, attend, rows_at_once
from motion_module.spec import NORM_GROUPS, MotionModuleSpec

AUTOCAST_DEVICES = ("cuda", "cpu", "xpu")


def build_positions(num_positions: int, channels: int) -> Tensor:
    """The sinusoidal position encoding, (1 f c): sines on even, cosines on odd channels."""
    frequencies = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    angles = torch.arange(num_positions)[:, None] * frequencies
    return rearrange(torch.stack((angles.sin(), angles.cos()), dim=-1), "f c two -> 1 f (c two)")


class PositionEncoding(nn.Module):
    """Adds to each token the encoding of its frame."""

    pe: Tensor

    def __init__(self, channels: int, num_positions: int, stored: bool) -> None:
        super().__init__()
        self.register_buffer("pe", build_positions(num_positions, channels), persistent=stored)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.pe[:, : tokens.shape[1]]


class TemporalAttention(nn.Module):
    """Self-attention over the frames of one spatial position."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        self.to_q = Linear(channels, channels, bias=False)
        self.to_k = Linear(channels, channels, bias=False)
        self.to_v = Linear(channels, channels, bias=False)
        self.to_out = nn.Sequential(Linear(channels, channels))
        self.pos_encoder = PositionEncoding(channels, spec.context_limit, spec.stored_positions)
        self.num_heads = spec.num_heads
        self.runtime = runtime

    def forward(self, tokens: Tensor, scale: Tensor | None = None) -> Tensor:
        """`r f c` to the same; the keys are multiplied by `scale`, `r|1 f|1 1`."""
        views = self.runtime.control.views
        if not views:
            return self.attend(tokens, scale)
        attended = torch.zeros_like(tokens)
        for view in views:
            frames = list(view.frames)
            seen = scale if scale is None or scale.shape[1] == 1 else scale[:, frames]
            with self.runtime.narrowed(view.frames):
                part = self.attend(tokens[:, frames], seen)
            attended[:, frames] += part * rearrange(part.new_tensor(view.weights), "f -> 1 f 1")
        return attended

    def attend(self, tokens: Tensor, scale: Tensor | None) -> Tensor:
        tokens = self.pos_encoder(tokens)
        query, key, value = self.to_q(tokens), self.to_k(tokens), self.to_v(tokens)
        if scale is not None:
            key = key * scale
        return self.to_out(attend(query, key, value, self.num_heads))


class GatedProjection(nn.Module):
    """GEGLU (Shazeer, arXiv 2002.05202): one half of a projection gates the other."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = Linear(channels, 2 * out_channels)

    def forward(self, tokens: Tensor) -> Tensor:
        value, gate = self.proj(tokens).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """C -> 4C, gated -> C; the Identity stands where the official network has its dropout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            GatedProjection(channels, 4 * channels), nn.Identity(), Linear(4 * channels, channels)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net(tokens)


class TemporalBlock(nn.Module):
    """Attention over frames (twice, as published), then a feed-forward; each adds to what was before it."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        count = spec.num_attention_blocks
        self.attention_blocks = nn.ModuleList(
            TemporalAttention(channels, spec, runtime) for _ in range(count)
        )
        self.norms = nn.ModuleList(LayerNorm(channels) for _ in range(count))
        self.ff = FeedForward(channels)
        self.ff_norm = LayerNorm(channels)

    def forward(self, tokens: Tensor, scale: Tensor | None = None) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            tokens = tokens + attention(norm(tokens), scale)
        return tokens + self.ff(self.ff_norm(tokens))


class TemporalTransformer(nn.Module):
    """What a site adds to its hidden states: a norm per frame, a projection, blocks, a projection."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        self.norm = GroupNorm(NORM_GROUPS, channels, eps=1e-6)
        self.proj_in = Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            TemporalBlock(channels, spec, runtime) for _ in range(spec.num_transformer_blocks)
        )
        self.proj_out = ZeroLinear(channels, channels)
        self.runtime = runtime

    def forward(self, hidden: Tensor) -> Tensor:
        """`(b f) c h w` -> the addition, as a view `b f c h w`."""
        num_frames, (height, width) = self.runtime.count_frames(hidden), hidden.shape[2:]
        # Contiguous, because one clip's rearrangement is a view, which the linear layers are slow on.
        tokens = rearrange(self.norm(hidden), "(b f) c h w -> (b h w) f c", f=num_frames).contiguous()
        chunks = tokens.split(rows_at_once(tokens))
        scales = self.split_scale(tokens, height, width)
        outputs = list(map(self.transform, chunks, scales))
        tokens = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        return rearrange(tokens, "(b h w) f c -> b f c h w", h=height, w=width)

    def split_scale(self, tokens: Tensor, height: int, width: int) -> Iterable[Tensor | None]:
        """The attention scale of each chunk of `r f c`: `r f 1`, or `1 f 1` where places do not differ."""
        scale = self.runtime.control.scale
        if scale is None:
            return repeat(None)
        values = scale.over(height, width, tokens)
        if scale.is_uniform:
            return repeat(rearrange(values, "f 1 1 -> 1 f 1"))
        places = rearrange(values, "f h w -> (h w) f 1")
        rows = places.repeat(len(tokens) // len(places), 1, 1)
        return torch.split(rows, rows_at_once(tokens))

    def transform(self, tokens: Tensor, scale: Tensor | None = None) -> Tensor:
        tokens = self.proj_in(tokens)
        for block in self.transformer_blocks:
            tokens = block(tokens, scale)
        return self.proj_out(tokens)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A host's autocast must not choose the precision: the layers run in the dtype they were loaded in."""
    return torch.autocast(device.type, enabled=False) if device.type in AUTOCAST_DEVICES else nullcontext()


class MotionLayer(nn.Module):
    """A site's temporal layer: `(b f) c h w` to the same, in the hidden states' dtype and on their device."""

    def __init__(self, channels: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, spec, runtime)

    def forward(self, hidden: Tensor, strength: float = 1.0) -> Tensor:
        """`strength` is how much of the addition counts at this site."""
        weight = self.temporal_transformer.proj_in.weight
        control = self.temporal_transformer.runtime.control
        if control.is_idle:
            return hidden
        if weight.device != hidden.device:
            self.to(hidden.device)
        with without_autocast(hidden.device):
            added = self.temporal_transformer(hidden.to(weight.dtype)).to(hidden.dtype)
            if control.effect is not None:
                height, width = hidden.shape[2:]
                added = added * rearrange(control.effect.over(height, width, added), "f h w -> f 1 h w")
            if strength != 1:
                added = added * strength
            # Adding to a view reads both layouts in one pass and writes the host's.
            clips = rearrange(hidden, "(b f) c h w -> b f c h w", b=added.shape[0])
            return rearrange(clips + added, "b f c h w -> (b f) c h w")
