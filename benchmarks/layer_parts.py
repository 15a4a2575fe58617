"""Parts of a temporal layer: the backends of its attention, and the kernels beside what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.results import Result
from motion_module.attention import Backend, Inputs, attend_by_products
from motion_module.backends import AttentionBackends, backends_for
from motion_module.kernels.switch import runs_kernels
from motion_module.layers import LayerNorm
from motion_module.network import PositionEncoding
from motion_module.products import gate
from motion_module.spec import MotionModuleSpec
from motion_module.trials import TIMINGS

Subject = Callable[[], Tensor]


@torch.no_grad()
def compare_attention(case: str, size: tuple[int, int, int], options: Options) -> Iterator[Result]:
    """One result for each backend that takes the shape `f r c`, beside the one that would be chosen."""
    query, key, value = _draw((3, *size), options)
    inputs = Inputs(query, key, value, MotionModuleSpec().num_heads)
    candidates = backends_for(inputs.query) | {"products": attend_by_products}
    backends = AttentionBackends(lambda query: candidates)
    for _ in range(TIMINGS * len(candidates)):
        backends.attend(inputs)
    subjects = {
        f"attention by {name}": _bind(backend, inputs)
        for name, backend in candidates.items()
        if name not in backends.refusals
    }
    yield from _beside(case, lambda: backends.attend(inputs), subjects, options)


def _bind(backend: Backend, inputs: Inputs) -> Subject:
    return lambda: backend(inputs)


@torch.no_grad()
def compare_kernels(case: str, size: tuple[int, int, int], options: Options) -> Iterator[Result]:
    """One result for each kernel on tokens `f r c`, beside PyTorch's operators; none where they are off."""
    frames, rows, channels = size
    tokens = _draw(size, options)
    if not runs_kernels(tokens):
        return
    norm, encoding = LayerNorm(channels), PositionEncoding(channels, frames, stored=False)
    norm.fill_fresh()
    norm.to(options.device, options.dtype)
    encoding.to(options.device, options.dtype)
    plain_norm: dict[str, Subject] = {"norm and positions by PyTorch": lambda: encoding(norm(tokens))}
    yield from _beside(case, lambda: encoding.after(norm, tokens), plain_norm, options)
    from motion_module.kernels.gates import gate as gate_in_one_pass

    projected = _draw((frames, rows, 8 * channels), options)
    yield from _beside(
        case, lambda: gate_in_one_pass(projected), {"gate by PyTorch": lambda: gate(projected)}, options
    )


def _draw(size: tuple[int, ...], options: Options) -> Tensor:
    return torch.randn(size, device=options.device, dtype=options.dtype)


def _beside(case: str, ours: Subject, subjects: dict[str, Subject], options: Options) -> Iterator[Result]:
    timings = alternate({"ours": ours, **subjects}, options.rounds)
    for name, subject in subjects.items():
        expected = subject()
        error = float((ours() - expected).abs().max() / expected.abs().max())
        figures = {"s": timings[name].seconds, "ours, s": timings["ours"].seconds}
        yield Result("layers", case, name, figures["ours, s"] / figures["s"], figures, error)
