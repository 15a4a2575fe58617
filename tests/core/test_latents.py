"""img2img: the shares of first picture, last picture and noise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.latents import blend_latents, init_alphas, init_and_last_alphas


@pytest.mark.parametrize(("power", "scale"), [(1, 32), (0, 2), (2, 8), (0.5, 3), (1, 0.5)])
def test_init_alphas_follow_the_formula(power: float, scale: float):
    expected = [max(0.0, 1 - i**power / scale) for i in range(16)]
    assert init_alphas(16, power, scale).tolist() == pytest.approx(expected, abs=1e-6)


@given(st.integers(1, 40), st.floats(0, 4), st.floats(0.1, 100), st.floats(0, 4), st.floats(0.1, 100))
def test_init_and_last_alphas_share_at_most_everything(
    num_frames: int, power: float, scale: float, last_power: float, last_scale: float
):
    init, last = init_and_last_alphas(num_frames, power, scale, last_power, last_scale)
    assert (init[0], last[0]) == (1, 0)
    if num_frames > 1:
        assert (init[-1], last[-1]) == (0, 1)
    for i in range(1, num_frames - 1):
        a = max(0.0, 1 - i**power / scale)
        b = max(0.0, 1 - (num_frames - 1 - i) ** last_power / last_scale)
        total = max(1.0, a + b)
        assert float(init[i]) == pytest.approx(a / total, abs=1e-5)
        assert float(last[i]) == pytest.approx(b / total, abs=1e-5)


def test_blend_latents_mixes_picture_and_noise_per_frame():
    noise, init = torch.randn(3, 4, 2, 2), torch.randn(4, 2, 2)
    blended = blend_latents(noise, init, torch.tensor([1.0, 0.25, 0.0]))
    assert torch.equal(blended[0], init)
    assert torch.allclose(blended[1], 0.25 * init + 0.75 * noise[1])
    assert torch.equal(blended[2], noise[2])


def test_blend_latents_with_a_last_picture_ends_with_it():
    noise, init, last = torch.randn(5, 4, 2, 2), torch.randn(5, 4, 2, 2), torch.randn(4, 2, 2)
    alphas, last_alphas = init_and_last_alphas(5, 1, 3, 1, 2)
    blended = blend_latents(noise, init, alphas, last, last_alphas)
    assert torch.allclose(blended[0], init[0])
    assert torch.allclose(blended[-1], last)
    for i in range(5):
        a, b = alphas[i], last_alphas[i]
        assert torch.allclose(blended[i], init[i] * a + last * b + noise[i] * (1 - a - b), atol=1e-6)


def test_blend_latents_leaves_its_arguments_alone():
    noise, init = torch.randn(3, 4, 2, 2), torch.randn(4, 2, 2)
    before = noise.clone(), init.clone()
    blend_latents(noise, init, init_alphas(3, 1, 32))
    assert torch.equal(noise, before[0])
    assert torch.equal(init, before[1])
