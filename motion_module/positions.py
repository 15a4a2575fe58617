"""Which frame a token is of, as the networks are told it."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor


def build_positions(num_positions: int, channels: int) -> Tensor:
    """The sinusoidal position encoding, (1 f c): sines on even, cosines on odd channels."""
    frequencies = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    angles = torch.arange(num_positions)[:, None] * frequencies
    return rearrange(torch.stack((angles.sin(), angles.cos()), dim=-1), "f c two -> 1 f (c two)")
