"""A small UNet with the WebUI's class and attribute names: ldm's for SD1.5, sgm's for SDXL."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class LdmConfig:
    """transformer_depths: a level, 0 without attention. adm_in_channels: of SDXL's vector, 0 without."""

    model_channels: int = 32
    channel_mult: tuple[int, ...] = (1, 2, 2, 2)
    transformer_depths: tuple[int, ...] = (1, 1, 1, 0)
    num_res_blocks: int = 2
    num_heads: int = 4
    context_dim: int = 24
    linear_projections: bool = False
    adm_in_channels: int = 0

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.model_channels * factor for factor in self.channel_mult)


SD15 = LdmConfig()
SDXL = LdmConfig(
    channel_mult=(1, 2, 2), transformer_depths=(0, 1, 2), linear_projections=True, adm_in_channels=16 + 6 * 8
)


class GroupNorm32(nn.GroupNorm):
    def forward(self, x):
        return super().forward(x.float()).type(x.dtype)


class TimestepBlock(nn.Module):
    """Marks the layers that want the timestep's embedding."""


class TimestepEmbedSequential(nn.Sequential):
    def forward(self, x, emb, context=None):
        for layer in self:
            if isinstance(layer, TimestepBlock):
                x = layer(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context)
            else:
                x = layer(x)
        return x


class ResBlock(TimestepBlock):
    def __init__(self, channels, emb_channels, out_channels):
        super().__init__()
        self.out_channels = out_channels
        self.in_layers = nn.Sequential(
            GroupNorm32(32, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_channels, out_channels))
        self.out_layers = nn.Sequential(
            GroupNorm32(32, out_channels),
            nn.SiLU(),
            nn.Dropout(0.0),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip_connection = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )

    def forward(self, x, emb):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
    def __init__(self, query_dim, context_dim, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(query_dim, query_dim, bias=False)
        self.to_k = nn.Linear(context_dim, query_dim, bias=False)
        self.to_v = nn.Linear(context_dim, query_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(query_dim, query_dim), nn.Dropout(0.0))

    def forward(self, x, context=None):
        context = x if context is None else context
        q, k, v = (
            rearrange(tokens, "b n (h e) -> b h n e", h=self.heads)
            for tokens in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        return self.to_out(rearrange(F.scaled_dot_product_attention(q, k, v), "b h n e -> b n (h e)"))


class GEGLU(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Linear(dim, 8 * dim)

    def forward(self, x):
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.net = nn.Sequential(GEGLU(dim), nn.Dropout(0.0), nn.Linear(4 * dim, dim))

    def forward(self, x):
        return self.net(x)


class BasicTransformerBlock(nn.Module):
    def __init__(self, dim, context_dim, heads):
        super().__init__()
        self.attn1 = CrossAttention(dim, dim, heads)
        self.ff = FeedForward(dim)
        self.attn2 = CrossAttention(dim, context_dim, heads)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, channels, depth, config: LdmConfig):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        linear = config.linear_projections
        self.proj_in = nn.Linear(channels, channels) if linear else nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList(
            BasicTransformerBlock(channels, config.context_dim, config.num_heads) for _ in range(depth)
        )
        self.proj_out = nn.Linear(channels, channels) if linear else nn.Conv2d(channels, channels, 1)
        self.linear = linear

    def forward(self, x, context):
        tokens, (height, width) = self.norm(x), x.shape[2:]
        if not self.linear:
            tokens = self.proj_in(tokens)
        tokens = rearrange(tokens, "b c h w -> b (h w) c")
        if self.linear:
            tokens = self.proj_in(tokens)
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        if self.linear:
            tokens = self.proj_out(tokens)
        tokens = rearrange(tokens, "b (h w) c -> b c h w", h=height, w=width)
        return x + (tokens if self.linear else self.proj_out(tokens))


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


def timestep_embedding(timesteps, dim):
    """Cosines, then sines."""
    frequencies = torch.exp(-math.log(10000) * torch.arange(dim // 2) / (dim // 2))
    angles = timesteps[:, None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class UNetModel(nn.Module):
    def __init__(self, config: LdmConfig):
        super().__init__()
        self.model_channels = config.model_channels
        emb = 4 * config.model_channels
        self.time_embed = nn.Sequential(nn.Linear(config.model_channels, emb), nn.SiLU(), nn.Linear(emb, emb))
        if config.adm_in_channels:
            self.label_emb = nn.Sequential(
                nn.Sequential(nn.Linear(config.adm_in_channels, emb), nn.SiLU(), nn.Linear(emb, emb))
            )
        first, last = config.widths[0], config.widths[-1]
        self.input_blocks = nn.ModuleList([TimestepEmbedSequential(nn.Conv2d(4, first, 3, padding=1))])
        channels, skips = first, [first]
        for level, width in enumerate(config.widths):
            for _ in range(config.num_res_blocks):
                self.input_blocks.append(self._block(channels, width, level, emb, config))
                channels = width
                skips.append(channels)
            if level < len(config.widths) - 1:
                self.input_blocks.append(TimestepEmbedSequential(Downsample(channels)))
                skips.append(channels)
        self.middle_block = TimestepEmbedSequential(
            ResBlock(last, emb, last),
            SpatialTransformer(last, max(config.transformer_depths[-1], 1), config),
            ResBlock(last, emb, last),
        )
        self.output_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(config.widths))):
            for layer in range(config.num_res_blocks + 1):
                block = self._block(channels + skips.pop(), width, level, emb, config)
                channels = width
                if level and layer == config.num_res_blocks:
                    block.append(Upsample(channels))
                self.output_blocks.append(block)
        self.out = nn.Sequential(GroupNorm32(32, first), nn.SiLU(), nn.Conv2d(first, 4, 3, padding=1))

    def _block(self, channels, width, level, emb, config: LdmConfig):
        depth = config.transformer_depths[level]
        layers = [ResBlock(channels, emb, width)]
        if depth:
            layers.append(SpatialTransformer(width, depth, config))
        return TimestepEmbedSequential(*layers)

    def forward(self, x, timesteps, context, y=None):
        emb = self.time_embed(timestep_embedding(timesteps, self.model_channels).to(x.dtype))
        if y is not None:
            emb = emb + self.label_emb(y)
        skips = []
        for block in self.input_blocks:
            x = block(x, emb, context)
            skips.append(x)
        x = self.middle_block(x, emb, context)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), emb, context)
        return self.out(x)
