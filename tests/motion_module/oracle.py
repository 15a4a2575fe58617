"""The temporal layer, written a second time: plain, slow, in float64, one position and head at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Parts = dict[str, Tensor]


def add_motion(parts: Parts, clip: Tensor, num_heads: int = 8) -> Tensor:
    """A clip `f c h w` through a layer with these parameters, by official part names; with the residual."""
    parts = {name: tensor.double() for name, tensor in parts.items()}
    clip = clip.double()
    normed = torch.stack([_group_norm(parts, frame) for frame in clip])
    added = torch.zeros_like(clip)
    for y in range(clip.shape[2]):
        for x in range(clip.shape[3]):
            tokens = _linear(parts, "proj_in", normed[:, :, y, x])
            added[:, :, y, x] = _linear(parts, "proj_out", _block(parts, tokens, num_heads))
    return clip + added


def _block(parts: Parts, tokens: Tensor, num_heads: int) -> Tensor:
    block = "transformer_blocks.0"
    for k in (0, 1):
        normed = _layer_norm(parts, f"{block}.norms.{k}", tokens)
        tokens = tokens + _attention(parts, f"{block}.attention_blocks.{k}", normed, num_heads)
    value, gate = _linear(
        parts, f"{block}.ff.net.0.proj", _layer_norm(parts, f"{block}.ff_norm", tokens)
    ).split(4 * tokens.shape[1], dim=1)
    gelu = gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
    return tokens + _linear(parts, f"{block}.ff.net.2", value * gelu)


def _attention(parts: Parts, name: str, tokens: Tensor, num_heads: int) -> Tensor:
    pe = parts.get(f"{name}.pos_encoder.pe")
    positioned = tokens + (sinusoids(*tokens.shape) if pe is None else pe[0, : tokens.shape[0]])
    query, key, value = (positioned @ parts[f"{name}.{to}.weight"].T for to in ("to_q", "to_k", "to_v"))
    size = tokens.shape[1] // num_heads
    heads = []
    for head in range(num_heads):
        part = slice(head * size, (head + 1) * size)
        scores = query[:, part] @ key[:, part].T / math.sqrt(size)
        weights = torch.exp(scores - scores.max(dim=1, keepdim=True).values)
        heads.append(weights / weights.sum(dim=1, keepdim=True) @ value[:, part])
    return _linear(parts, f"{name}.to_out.0", torch.cat(heads, dim=1))


def sinusoids(num_frames: int, channels: int) -> Tensor:
    encoding = torch.zeros(num_frames, channels, dtype=torch.float64)
    for frame in range(num_frames):
        for i in range(channels // 2):
            angle = frame * math.exp(-math.log(10000) * 2 * i / channels)
            encoding[frame, 2 * i], encoding[frame, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return encoding


def _linear(parts: Parts, name: str, tokens: Tensor) -> Tensor:
    return tokens @ parts[f"{name}.weight"].T + parts[f"{name}.bias"]


def _layer_norm(parts: Parts, name: str, tokens: Tensor) -> Tensor:
    centred = tokens - tokens.mean(dim=1, keepdim=True)
    scaled = centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + 1e-5)
    return scaled * parts[f"{name}.weight"] + parts[f"{name}.bias"]


def _group_norm(parts: Parts, frame: Tensor) -> Tensor:
    groups = frame.reshape(32, -1)
    centred = groups - groups.mean(dim=1, keepdim=True)
    scaled = centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + 1e-6)
    return (
        scaled.reshape(frame.shape) * parts["norm.weight"][:, None, None] + parts["norm.bias"][:, None, None]
    )
