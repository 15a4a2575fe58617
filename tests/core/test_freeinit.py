"""FreeInit, against the discrete Fourier transform and the filters' formulas written out."""

from __future__ import annotations

import cmath
import itertools
import math
from typing import Any

import pytest
import torch

from animatediff_webui.core.freeinit import diffuse, low_pass_filter, mix_frequencies, reinitialized_noise

KINDS = ["butterworth", "gaussian", "ideal", "box"]
SHAPES = [(4, 6, 8), (5, 3, 7), (1, 2, 2), (16, 4, 5)]


def frequency(index: int, length: int) -> float:
    """The frequency of a Fourier coefficient, 1 being the highest: the coefficients of the upper half are
    negative frequencies."""
    signed = index if index <= length // 2 else index - length
    return abs(signed) / (length / 2)


def formula(kind: str, t: float, y: float, x: float, ds: float, dt: float) -> float:
    squared = (ds / dt * t) ** 2 + y**2 + x**2
    return {
        "butterworth": 1 / (1 + (squared / ds**2) ** 4),
        "gaussian": math.exp(-squared / (2 * ds**2)),
        "ideal": float(squared <= ds**2),
        "box": float(t <= dt and y <= ds and x <= ds),
    }[kind]


def dft_matrix(length: int) -> torch.Tensor:
    rows = [[cmath.exp(-2j * math.pi * j * k / length) for k in range(length)] for j in range(length)]
    return torch.tensor(rows, dtype=torch.complex128)


def dft(clip: torch.Tensor) -> torch.Tensor:
    """The 3-D transform over f, h, w of `f c h w`, by its definition."""
    f, _, h, w = clip.shape
    return torch.einsum(
        "af,bh,dw,fchw->acbd", dft_matrix(f), dft_matrix(h), dft_matrix(w), clip.to(torch.complex128)
    )


def inverse_dft(spectrum: torch.Tensor) -> torch.Tensor:
    f, _, h, w = spectrum.shape
    return dft(spectrum.conj()).conj() / (f * h * w)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("ds", "dt"), [(0.25, 0.25), (0.5, 0.3), (1.0, 1.0)])
def test_low_pass_filter_follows_its_formula(kind: Any, shape: tuple[int, int, int], ds: float, dt: float):
    found = low_pass_filter(shape, kind, ds, dt)
    assert found.shape == (shape[0], 1, *shape[1:])
    for index in itertools.product(*map(range, shape)):
        t, y, x = (frequency(i, length) for i, length in zip(index, shape, strict=True))
        assert float(found[index[0], 0, index[1], index[2]]) == pytest.approx(
            formula(kind, t, y, x, ds, dt), abs=1e-6
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("ds", "dt"), [(0.0, 0.25), (0.25, 0.0)])
def test_low_pass_filter_with_stop_frequency_zero_passes_nothing(kind: Any, ds: float, dt: float):
    assert not low_pass_filter((4, 4, 4), kind, ds, dt).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_mix_frequencies_is_the_filtered_transform_of_both(kind: Any, shape: tuple[int, int, int]):
    low, high = torch.randn(2, shape[0], 3, *shape[1:], dtype=torch.float64)
    pass_filter = low_pass_filter(shape, kind, 0.5, 0.4)
    expected = inverse_dft(dft(low) * pass_filter + dft(high) * (1 - pass_filter)).real
    assert torch.allclose(
        mix_frequencies(low.float(), high.float(), pass_filter).double(), expected, atol=1e-5
    )


def test_mix_frequencies_keeps_clips_of_a_batch_apart():
    low, high = torch.randn(2, 2, 8, 4, 4, 6)
    pass_filter = low_pass_filter((8, 4, 6), "gaussian", 0.25, 0.25)
    mixed = mix_frequencies(low, high, pass_filter)
    assert torch.allclose(mixed[1], mix_frequencies(low[1], high[1], pass_filter), atol=1e-6)


def test_mix_frequencies_takes_the_mean_from_low_and_keeps_the_dtype():
    low, high = torch.full((4, 1, 4, 4), 3.0), torch.randn(4, 1, 4, 4)
    mixed = mix_frequencies(low.half(), high.half(), low_pass_filter((4, 4, 4), "ideal", 0.25, 0.25))
    assert mixed.dtype == torch.float16
    assert float(mixed.float().mean()) == pytest.approx(3, abs=0.01)


def test_diffuse_keeps_unit_variance():
    latents, noise = torch.randn(2, 64, 4, 16, 16)
    assert float(diffuse(latents, noise, 0.3).std()) == pytest.approx(1, abs=0.02)
    assert torch.equal(diffuse(latents, noise, 1.0), latents)


def test_reinitialized_noise_has_low_frequencies_of_the_diffused_clip_and_high_ones_of_fresh_noise():
    latents, noise, fresh = torch.randn(3, 8, 4, 8, 8)
    everything, nothing = torch.ones(8, 1, 8, 8), torch.zeros(8, 1, 8, 8)
    diffused = math.sqrt(0.1) * latents + math.sqrt(0.9) * noise
    assert torch.allclose(reinitialized_noise(latents, noise, fresh, everything, 0.1), diffused, atol=1e-5)
    assert torch.allclose(reinitialized_noise(latents, noise, fresh, nothing, 0.1), fresh, atol=1e-5)
