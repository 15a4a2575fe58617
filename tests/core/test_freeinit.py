"""FreeInit, against the discrete Fourier transform and the filters' formulas written out."""

from __future__ import annotations

import cmath
import itertools
import math
from typing import Any

import pytest
import torch

from animatediff_webui.core.freeinit import (
    SamplingPass,
    diffuse,
    low_pass_filter,
    mix_frequencies,
    sample_passes,
)
from animatediff_webui.core.parameters import FreeInit

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


EVERYTHING = FreeInit(filter="ideal", spatial_stop=9.0, temporal_stop=9.0)
NOTHING = FreeInit(spatial_stop=0.0)
ALPHA = 0.1


def run_passes(settings: FreeInit, steps: list[int], *, over_latents: bool = False, stop_after: int = 99):
    """Each pass's noise and init latents, where pass i draws i + 1 everywhere and ends at 10 (i + 1)."""
    seen: list[tuple[torch.Tensor, torch.Tensor, int, bool]] = []

    def sample(each: SamplingPass) -> torch.Tensor:
        noise = each.start_noise(torch.full((4, 2, 8, 8), each.index + 1.0), over_latents=over_latents)
        init = each.start_latents(torch.full((4, 2, 8, 8), 100.0))
        seen.append((noise, init, each.num_steps, each.is_last))
        return torch.full((4, 2, 8, 8), 10.0 * (each.index + 1))

    latents = sample_passes(
        steps, settings, sample, alpha_cumprod=lambda: ALPHA, is_stopped=lambda: len(seen) >= stop_after
    )
    return latents, seen


def test_passes_begin_with_the_low_frequencies_of_the_clip_before_noised_by_the_first_noise():
    latents, seen = run_passes(EVERYTHING, [2, 3, 4])
    assert [(steps, is_last) for _, _, steps, is_last in seen] == [(2, False), (3, False), (4, True)]
    expected = [1.0, *(math.sqrt(ALPHA) * before + math.sqrt(1 - ALPHA) for before in (10.0, 20.0))]
    for (noise, _, _, _), value in zip(seen, expected, strict=True):
        assert torch.allclose(noise, torch.tensor(value), atol=1e-4)
    assert torch.equal(latents, torch.full((4, 2, 8, 8), 30.0))


def test_passes_whose_filter_passes_nothing_begin_with_fresh_noise():
    _, seen = run_passes(NOTHING, [1, 1, 1])
    for index, (noise, init, _, _) in enumerate(seen):
        assert torch.allclose(noise, torch.tensor(index + 1.0), atol=1e-4)
        assert torch.allclose(init, torch.tensor(100.0), atol=1e-4)


def test_passes_over_latents_keep_the_first_noise_and_put_the_clip_into_the_latents():
    _, seen = run_passes(EVERYTHING, [1, 1], over_latents=True)
    (first_noise, first_init, _, _), (noise, init, _, _) = seen
    assert torch.allclose(noise, first_noise, atol=1e-4)
    assert torch.equal(first_init, torch.full((4, 2, 8, 8), 100.0))
    assert torch.allclose(init, torch.tensor(10.0), atol=1e-4)


def test_a_stop_ends_the_passes_with_what_is_there():
    latents, seen = run_passes(EVERYTHING, [1, 1, 1], stop_after=2)
    assert len(seen) == 2
    assert torch.equal(latents, torch.full((4, 2, 8, 8), 20.0))
