"""One call of SD1.5's UNet with a motion module, beside the same without it and beside diffusers' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Timing, alternate
from benchmarks.options import Options
from benchmarks.peers import diffusers_unet
from benchmarks.results import Result
from motion_module.injection import injected
from motion_module.layers import Layer
from motion_module.module import MotionModule
from motion_module.network import MotionLayer
from motion_module.spec import MotionModuleSpec

SD15: dict[str, object] = {"cross_attention_dim": 768, "attention_head_dim": 8}
TOY: dict[str, object] = {
    "block_out_channels": (32, 64, 64, 64),
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
    "sample_size": 8,
}
NUM_TOKENS = 77


@dataclass(frozen=True)
class Call:
    """A prompt and a negative prompt; `side` is that of the latents, an eighth of the picture's."""

    num_frames: int
    side: int

    def __str__(self) -> str:
        return f"SD1.5's UNet, 2 x {self.num_frames} frames, {8 * self.side}x{8 * self.side} pixels"


CALLS = (Call(16, 16), Call(16, 32))
GPU_CALLS = (Call(16, 64), Call(24, 64))


def run(options: Options) -> Iterator[Result]:
    """Three results a call."""
    unet, module = build_models(TOY if options.toy else SD15, options)
    calls = GPU_CALLS if options.device.type == "cuda" else CALLS
    for call in (Call(4, 8),) if options.toy else calls:
        yield from _compare(call, unet, module, options)
        yield _compare_windows(call, unet, module, options)


def build_models(config: dict[str, object], options: Options) -> tuple[UNet2DConditionModel, MotionModule]:
    """A UNet and a motion module of its widths, v3's layout, with random weights that act."""
    torch.manual_seed(0)
    with options.device:
        unet = UNet2DConditionModel(**cast("dict[str, Any]", config))  # Any: as it takes them
        widths = cast("tuple[int, ...]", cast("Any", unet.config).block_out_channels)
        module = MotionModule(MotionModuleSpec(widths=widths))
    for layer in module.modules():
        if isinstance(layer, Layer):
            layer.fill_fresh()
    for layer in module.modules():
        if isinstance(layer, MotionLayer):
            projection = layer.temporal_transformer.proj_out.weight
            nn.init.normal_(projection, std=0.1 * projection.shape[0] ** -0.5)
    for network in (unet, module):
        nn.Module.to(network, options.device, options.dtype).eval().requires_grad_(False)
    return unet, module


@torch.no_grad()
def _compare(
    call: Call, unet: UNet2DConditionModel, module: MotionModule, options: Options
) -> Iterator[Result]:
    peer = diffusers_unet(unet, module)
    nn.Module.to(peer, options.device, options.dtype)
    rows, text = _inputs(call, unet, 2, options)
    texts = text.repeat_interleave(call.num_frames, dim=0)

    def plain() -> Tensor:
        return unet(rows, 500, texts, return_dict=False)[0]

    def ours() -> Tensor:
        with module.frames(call.num_frames), injected(unet, module):
            return plain()

    def diffusers() -> Tensor:
        clips = rearrange(rows, "(b f) c h w -> b c f h w", f=call.num_frames)
        predicted = peer(clips, 500, texts, return_dict=False)[0]
        return rearrange(predicted, "b c f h w -> (b f) c h w")

    expected = diffusers()
    error = float((ours() - expected).abs().max() / expected.abs().max())
    subjects = {"ours": ours, "diffusers' UNetMotionModel": diffusers, "the UNet without a module": plain}
    timings = alternate(subjects, options.rounds)
    share = _num_products(ours) / _num_products(plain)
    for subject in tuple(subjects)[1:]:
        figures = _figures(timings["ours"], timings[subject])
        if subjects[subject] is plain:
            yield Result("steps", str(call), subject, figures["ratio"], {**figures, "by arithmetic": share})
        else:
            yield Result("steps", str(call), subject, figures["ratio"], figures, error)


@torch.no_grad()
def _compare_windows(
    call: Call, unet: UNet2DConditionModel, module: MotionModule, options: Options
) -> Result:
    """Two windows of a step in one call, beside one call each."""
    rows, text = _inputs(call, unet, 4, options)
    texts = text.repeat_interleave(call.num_frames, dim=0)
    size = 2 * call.num_frames

    def together() -> Tensor:
        with module.frames(call.num_frames), injected(unet, module):
            return unet(rows, 500, texts, return_dict=False)[0]

    def one_by_one() -> Tensor:
        parts: list[Tensor] = []
        with module.frames(call.num_frames), injected(unet, module):
            for window, told in zip(rows.split(size), texts.split(size), strict=True):
                parts.append(unet(window, 500, told, return_dict=False)[0])
        return torch.cat(parts)

    expected = one_by_one()
    error = float((together() - expected).abs().max() / expected.abs().max())
    timings = alternate({"ours": together, "alone": one_by_one}, options.rounds)
    figures = _figures(timings["ours"], timings["alone"])
    case = f"two windows: {call}"
    return Result("steps", case, "the windows one by one", figures["ratio"], figures, error)


def _inputs(
    call: Call, unet: UNet2DConditionModel, num_clips: int, options: Options
) -> tuple[Tensor, Tensor]:
    """Latents of the clips, `(b f) c h w`, and what each is told, `b n c`."""
    text_width = cast("int", cast("Any", unet.config).cross_attention_dim)
    rows = torch.randn(
        num_clips * call.num_frames, 4, call.side, call.side, device=options.device, dtype=options.dtype
    )
    text = torch.randn(num_clips, NUM_TOKENS, text_width, device=options.device, dtype=options.dtype)
    return rows, text


def _figures(ours: Timing, theirs: Timing) -> dict[str, float]:
    return {
        "ratio": ours.seconds / theirs.seconds,
        "s": theirs.seconds,
        "ours, s": ours.seconds,
        "CPU ratio": ours.cpu_seconds / theirs.cpu_seconds,
        "median ratio": ours.median / theirs.median,
    }


def _num_products(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
