"""Noise: one seed per frame, and FreeNoise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.noise import frame_noise, frame_seeds, free_noise_order, mixed_noise


def test_frame_seeds_count_up_from_the_seed():
    assert frame_seeds(7, 3) == (7, 8, 9)
    assert frame_seeds(7, 2, first_frame=5) == (12, 13)
    assert frame_seeds(2**64 - 1, 2) == (2**64 - 1, 0)


def test_frame_noise_of_a_sub_range_is_that_part_of_the_clips():
    clip = frame_noise(frame_seeds(3, 12), (4, 5, 6))
    part = frame_noise(frame_seeds(3, 4, first_frame=6), (4, 5, 6))
    assert torch.equal(clip[6:10], part)


def test_frame_noise_is_what_the_frames_seed_gives():
    noise = frame_noise([5, 6], (4, 8, 8))
    expected = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(6))
    assert torch.equal(noise[1], expected)
    assert not torch.equal(noise[0], noise[1])


def test_frame_noise_leaves_the_global_generator_alone():
    state = torch.random.get_rng_state()
    frame_noise([1, 2], (3,))
    assert torch.equal(torch.random.get_rng_state(), state)


@st.composite
def context_lengths(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, 24))
    return size, draw(st.integers(1, size))


@given(st.integers(1, 300), context_lengths(), st.integers(0, 2**64 - 1))
def test_free_noise_windows_all_hold_the_first_windows_noise(
    num_frames: int, sizes: tuple[int, int], seed: int
):
    size, stride = sizes
    order = free_noise_order(num_frames, size, stride, seed)
    assert len(order) == num_frames
    assert order[:size] == tuple(range(min(size, num_frames)))
    for start in range(0, num_frames - size + 1, stride):
        assert sorted(order[start : start + size]) == list(range(size))


@given(st.integers(1, 200), st.integers(0, 100), context_lengths())
def test_free_noise_longer_clip_begins_like_the_shorter(num_frames: int, more: int, sizes: tuple[int, int]):
    assert free_noise_order(num_frames + more, *sizes, seed=1)[:num_frames] == free_noise_order(
        num_frames, *sizes, seed=1
    )


def test_free_noise_depends_on_the_seed():
    assert free_noise_order(64, 16, 12, seed=1) == free_noise_order(64, 16, 12, seed=1)
    assert free_noise_order(64, 16, 12, seed=1) != free_noise_order(64, 16, 12, seed=2)


@pytest.mark.parametrize("stride", [0, 17])
def test_free_noise_stride_outside_the_window_is_refused(stride: int):
    with pytest.raises(ValueError, match=f"found {stride}"):
        free_noise_order(64, 16, stride, seed=1)


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_mixed_noise_is_as_strong_as_each_frames_own_and_as_like_as_its_weight_says(weight):
    own = frame_noise(frame_seeds(3, 4), (4, 64, 64))
    mixed = mixed_noise(own, (0, 0, 0, 0), torch.full((1, 1, 1, 1), weight))
    assert torch.equal(mixed[0], own[0])
    for frame in (1, 2, 3):
        assert mixed[frame].var().item() == pytest.approx(1, abs=0.03)
        assert mixed[frame].mean().item() == pytest.approx(0, abs=0.03)
        likeness = (mixed[frame] * own[0]).mean().item()
        assert likeness == pytest.approx(weight / (weight**2 + (1 - weight) ** 2) ** 0.5, abs=0.03)


def test_mixed_noise_is_frozen_where_its_weight_is_one_and_each_frames_own_where_it_is_zero():
    own = frame_noise(frame_seeds(3, 6), (4, 32, 32))
    weights = torch.zeros(6, 1, 32, 32)
    weights[3:, :, :, 16:] = 1
    mixed = mixed_noise(own, (0,) * 6, weights)
    assert torch.equal(mixed[:3], own[:3])
    assert torch.equal(mixed[3:, :, :, :16], own[3:, :, :, :16])
    assert torch.equal(mixed[3:, :, :, 16:], own[:1, :, :, 16:].expand(3, -1, -1, -1))
    assert mixed.var((1, 2, 3)).tolist() == pytest.approx([1] * 6, abs=0.06)
