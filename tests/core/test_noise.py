"""Noise: one seed per frame, and FreeNoise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.noise import frame_noise, frame_seeds, free_noise_order


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
