"""The kernels, through Triton's interpreter, beside what they stand for."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch.nn import functional as F

from motion_module import MotionControl, MotionModuleError, Site, build_motion_module
from motion_module.attention import Inputs, attend_by_products, attend_by_triton
from motion_module.backends import AttentionBackends
from motion_module.control import FrameValues
from motion_module.kernels.switch import OPTION, runs_kernels
from motion_module.products import gate
from tests.motion_module.samples import V3, relative_error, weights_of

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed: requirements-dev.txt has it on Linux",
)
TOLERANCES = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def normal(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@needs_triton
@DTYPES
@pytest.mark.parametrize(("frames", "rows", "channels"), [(5, 7, 40), (3, 30, 160)])
def test_norm_at_positions_equals_the_float64_one(dtype, frames, rows, channels):
    from motion_module.kernels.norms import norm_at_positions

    tokens = normal(frames, rows, channels, dtype=dtype) * 3 + 5
    weight, bias = normal(channels, dtype=dtype, seed=1), normal(channels, dtype=dtype, seed=2)
    positions = normal(frames + 2, channels, dtype=dtype, seed=3)[:frames]
    normed = F.layer_norm(tokens.double(), (channels,), weight.double(), bias.double(), 1e-5)
    found = norm_at_positions(tokens, weight, bias, positions, 1e-5)
    assert found.dtype == dtype
    assert relative_error(found, normed + positions.double()[:, None]) <= TOLERANCES[dtype]


@needs_triton
@DTYPES
@pytest.mark.parametrize(("frames", "others", "size"), [(8, 0, 40), (16, 4, 40), (24, 0, 80), (60, 4, 16)])
def test_attention_equals_the_float64_one(dtype, frames, others, size):
    query = normal(frames, 2, 2 * size, dtype=dtype)
    key, value = (normal(frames + others, 2, 2 * size, dtype=dtype, seed=seed) for seed in (1, 2))
    scale = normal(frames + others, 2, 1, dtype=dtype, seed=3)
    weights = torch.rand(frames + others, generator=torch.Generator().manual_seed(4)) if others else None
    found = attend_by_triton(Inputs(query, key, value, 2, scale, weights))
    exact = Inputs(query.double(), key.double(), value.double(), 2, scale.double(), weights)
    assert found.dtype == dtype
    assert relative_error(found, attend_by_products(exact)) <= TOLERANCES[dtype]


@needs_triton
@pytest.mark.parametrize("scale_shape", [None, (1, 1, 1), (9, 1, 1), (1, 3, 1)])
def test_attention_reads_one_product_of_queries_keys_and_values_where_it_lies(scale_shape):
    query, key, value = normal(9, 3, 3 * 48).chunk(3, dim=-1)
    inputs = Inputs(query, key, value, 3, scale_shape and normal(*scale_shape, seed=1))
    assert relative_error(attend_by_triton(inputs), attend_by_products(inputs)) <= 1e-6


@needs_triton
def test_attention_to_more_frames_than_it_holds_is_refused():
    with pytest.raises(ValueError, match="at most 64 frames"):
        attend_by_triton(Inputs(*[normal(65, 1, 16)] * 3, 1))


@needs_triton
@DTYPES
def test_gate_equals_the_float64_one(dtype):
    from motion_module.kernels import gates

    projected = normal(3, 5, 2 * 96, dtype=dtype) * 2
    found = gates.gate(projected)
    assert found.dtype == dtype
    assert relative_error(found, gate(projected.double())) <= TOLERANCES[dtype]


@needs_triton
@DTYPES
@pytest.mark.parametrize("control", [MotionControl(), MotionControl(scale=FrameValues(torch.rand(4, 2, 2)))])
def test_layer_with_kernels_equals_the_plain_one(monkeypatch, dtype, control):
    module = build_motion_module(weights_of(V3), dtype=dtype)
    layer, hidden = module.layers()[Site("down_blocks", 0, 0)], normal(4, 32, 2, 2, dtype=dtype)
    with module.frames(4, control=control):
        plain = layer(hidden)
        monkeypatch.setenv(OPTION, "1")
        module.runtime.attention = AttentionBackends(lambda query: {"Triton": attend_by_triton})
        assert relative_error(layer(hidden), plain) <= 4 * TOLERANCES[dtype]


@needs_triton
def test_kernels_are_for_sampling_where_they_are_switched_on(monkeypatch):
    tokens = normal(2, 2, 16)
    assert not runs_kernels(tokens)
    monkeypatch.setenv(OPTION, "1")
    assert runs_kernels(tokens)
    assert not runs_kernels(tokens.double())
    with torch.enable_grad():
        assert not runs_kernels(tokens)
    monkeypatch.delenv("TRITON_INTERPRET")
    assert not runs_kernels(tokens)


def test_switch_that_is_neither_on_nor_off_is_refused(monkeypatch):
    monkeypatch.setenv(OPTION, "yes")
    with pytest.raises(MotionModuleError, match="ANIMATEDIFF_TRITON is 'yes': set it to 1"):
        runs_kernels(normal(2, 2, 16))
