"""One temporal layer, beside diffusers' with the same weights and beside its bare matrix products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.layer_parts import compare_attention, compare_kernels
from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.peers import diffusers_layer
from benchmarks.results import Result
from motion_module.backends import AttentionBackends
from motion_module.control import UNCHANGED
from motion_module.layers import Layer
from motion_module.network import MotionLayer
from motion_module.pieces import Pieces
from motion_module.runtime import Runtime
from motion_module.spec import MotionModuleSpec

SITES = {
    "SD1.5": ((320, 64), (640, 32), (1280, 16), (1280, 8)),
    "SDXL": ((320, 128), (640, 64), (1280, 32)),
}
"""Channels and the side of the hidden states, at 512x512 and 1024x1024 pixels."""
TOY_SITES = {"toy": ((32, 4),)}


@dataclass(frozen=True)
class Shape:
    """Of one site's hidden states `(b f) c h w`, h = w."""

    base: str
    channels: int
    side: int
    clips: int
    frames: int

    @property
    def num_tokens(self) -> int:
        """`b f h w`"""
        return self.clips * self.frames * self.side**2

    def __str__(self) -> str:
        size = f"{self.channels} channels at {self.side}x{self.side}"
        return f"{self.base}, {size}, {self.clips} x {self.frames} frames"


def shapes(options: Options) -> Iterator[Shape]:
    """All that are compared."""
    sites = TOY_SITES if options.toy else {base: SITES[base] for base in options.bases}
    for base, each in sites.items():
        for channels, side in each:
            for clips in options.clips:
                for frames in options.frames:
                    yield Shape(base, channels, side // options.shrink, clips, frames)


def run(options: Options) -> Iterator[Result]:
    """Two results a shape; on CUDA also one for each backend of its attention, and one for each kernel."""
    for shape in shapes(options):
        yield from _compare(shape, options)
        if options.device.type == "cuda":
            size = shape.frames, shape.num_tokens // shape.frames, shape.channels
            yield from compare_attention(str(shape), size, options)
            yield from compare_kernels(str(shape), size, options)


@torch.no_grad()
def _compare(shape: Shape, options: Options) -> Iterator[Result]:
    layer = build_layer(shape.channels, shape.frames).to(options.device, options.dtype)
    peer = diffusers_layer(layer)
    size = (shape.clips * shape.frames, shape.channels, shape.side, shape.side)
    hidden = torch.randn(size, device=options.device, dtype=options.dtype)
    ours, theirs = layer(hidden), peer(hidden, shape.frames)
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    timings = alternate(
        {
            "ours": lambda: layer(hidden),
            "diffusers": lambda: peer(hidden, shape.frames),
            "matrix products": build_products(layer, shape.num_tokens),
        },
        options.rounds,
    )
    for subject in ("diffusers", "matrix products"):
        timing = timings[subject]
        figures = {
            "s": timing.seconds,
            "ours, s": timings["ours"].seconds,
            "CPU ratio": timings["ours"].cpu_seconds / timing.cpu_seconds,
            "median ratio": timings["ours"].median / timing.median,
        }
        ratio = timings["ours"].seconds / timing.seconds
        yield Result("layers", str(shape), subject, ratio, figures, error if subject == "diffusers" else None)


def build_layer(channels: int, num_frames: int) -> MotionLayer:
    """A layer with fresh weights, of which the last projection is not zero."""
    runtime = Runtime(UNCHANGED, Pieces(), AttentionBackends(), num_frames, tuple(range(num_frames)))
    layer = MotionLayer(channels, MotionModuleSpec(), runtime)
    for part in layer.modules():
        if isinstance(part, Layer):
            part.fill_fresh()
    nn.init.normal_(layer.temporal_transformer.proj_out.weight, std=channels**-0.5)
    return layer.requires_grad_(False).eval()


def build_products(layer: nn.Module, num_tokens: int) -> Callable[[], object]:
    """The layer's matrix products on as many tokens, each of them once and with nothing in between."""
    weights = [(weight, _bias(layer, name)) for name, weight in layer.named_parameters() if weight.ndim == 2]
    tokens: dict[int, Tensor] = {}
    for weight, _ in weights:
        width = weight.shape[1]
        if width not in tokens:
            tokens[width] = torch.randn(num_tokens, width, device=weight.device, dtype=weight.dtype)

    def multiply() -> None:
        for weight, bias in weights:
            F.linear(tokens[weight.shape[1]], weight, bias)

    return multiply


def _bias(layer: nn.Module, name: str) -> Tensor | None:
    parameters = dict(layer.named_parameters())
    return parameters.get(name.removesuffix("weight") + "bias")
