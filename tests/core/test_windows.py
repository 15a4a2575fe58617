"""Context windows: cover, order, cost, weights, and how they become one clip."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from animatediff_webui.core.windowed import gather_rows, read_layout
from animatediff_webui.core.windows import (
    FUSE_WEIGHTS,
    SCHEDULERS,
    ContextLayout,
    Window,
    build_spans,
    build_windows,
    fuse,
    halving_fraction,
)

LOOPS = ["N", "R-P", "R+P", "A", "Seamless"]


@st.composite
def layouts(draw: st.DrawFn, max_frames: int = 2000) -> ContextLayout:
    context_length = draw(st.integers(1, 64))
    return ContextLayout(
        num_frames=draw(st.one_of(st.integers(1, max_frames), st.integers(1, 2 * context_length + 2))),
        context_length=context_length,
        stride=draw(st.integers(1, 8)),
        overlap=draw(st.integers(0, context_length - 1)),
        closed_loop=draw(st.sampled_from(LOOPS)),
        scheduler=draw(st.sampled_from(list(SCHEDULERS))),
        fuse=draw(st.sampled_from(list(FUSE_WEIGHTS))),
    )


def frames_of(step: int, **layout: Any) -> list[tuple[int, ...]]:
    return [window.frames for window in build_windows(ContextLayout(**layout), step)]


def wraps(window: tuple[int, ...]) -> bool:
    return any(after < before for before, after in pairwise(window))


# ----------------------------------------------------------------------------------------------- properties


@settings(max_examples=250)
@given(layouts(), st.integers(0, 1000))
def test_windows_cover_every_frame_stay_in_range_and_never_hold_a_frame_twice(
    layout: ContextLayout, step: int
):
    windows = build_windows(layout, step)
    assert {frame for window in windows for frame in window.frames} == set(range(layout.num_frames))
    for window in windows:
        assert len(set(window.frames)) == len(window.frames) == len(window.weights)
        assert 1 <= len(window.frames) <= layout.context_length


@settings(max_examples=100)
@given(layouts(max_frames=300), st.integers(0, 1000))
def test_windows_weights_of_each_frame_sum_to_one(layout: ContextLayout, step: int):
    totals = [0.0] * layout.num_frames
    for window in build_windows(layout, step):
        assert min(window.weights) > 0
        for frame, weight in zip(window.frames, window.weights, strict=True):
            totals[frame] += weight
    assert totals == pytest.approx([1.0] * layout.num_frames)


@settings(max_examples=50)
@given(layouts(max_frames=300), st.integers(0, 1000))
def test_windows_are_the_same_when_asked_again(layout: ContextLayout, step: int):
    assert build_windows(layout, step) == build_windows(layout, step)


@settings(max_examples=100)
@given(layouts(), st.integers(0, 1000), st.sampled_from(["uniform", "standard static", "batched"]))
def test_windows_without_loop_and_stride_never_wrap(layout: ContextLayout, step: int, scheduler: Any):
    plain = replace(layout, closed_loop="N", stride=1, scheduler=scheduler)
    assert not any(wraps(window.frames) for window in build_windows(plain, step))


@settings(max_examples=100)
@given(layouts(), st.integers(0, 1000))
def test_spans_are_the_windows_without_weights(layout: ContextLayout, step: int):
    spelled_out = [span.frames(layout.num_frames) for span in build_spans(layout, step)]
    assert spelled_out == [window.frames for window in build_windows(layout, step)]
    assert [len(frames) for frames in spelled_out] == [span.length for span in build_spans(layout, step)]


@settings(max_examples=100)
@given(layouts(), st.integers(0, 1000))
def test_uniform_windows_take_every_so_many_frames_and_start_a_hop_apart(layout: ContextLayout, step: int):
    uniform = replace(layout, scheduler="uniform", closed_loop="A")
    if uniform.is_single:
        return
    by_spacing: dict[int, list[int]] = {}
    for span in build_spans(uniform, step):
        by_spacing.setdefault(span.spacing, []).append(span.start)
    assert list(by_spacing) == [2**level for level in range(len(by_spacing))]
    assert len(by_spacing) <= uniform.stride
    for spacing, starts in by_spacing.items():
        hop = uniform.context_length * spacing - uniform.overlap
        assert {(after - before) % uniform.num_frames for before, after in pairwise(starts)} <= {
            hop % uniform.num_frames
        }


@settings(max_examples=100)
@given(layouts(), st.integers(0, 100))
def test_static_neighbours_share_at_least_the_overlap(layout: ContextLayout, step: int):
    static = replace(layout, scheduler="standard static")
    windows = [set(window.frames) for window in build_windows(static, step)]
    for before, after in pairwise(windows):
        assert len(before & after) >= static.overlap


@settings(max_examples=100)
@given(layouts(), st.integers(0, 100))
def test_batched_computes_each_frame_once_in_windows_of_even_length(layout: ContextLayout, step: int):
    lengths = [len(window.frames) for window in build_windows(replace(layout, scheduler="batched"), step)]
    assert sum(lengths) == layout.num_frames
    assert max(lengths) - min(lengths) <= 1
    assert len(lengths) == math.ceil(layout.num_frames / layout.context_length)


# ------------------------------------------------------------------------------------------------ examples


def test_halving_fraction_is_the_bit_reversed_fraction():
    assert [halving_fraction(step) for step in range(8)] == [
        0,
        1 / 2,
        1 / 4,
        3 / 4,
        1 / 8,
        5 / 8,
        3 / 8,
        7 / 8,
    ]


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def test_windows_of_a_clip_that_fits_are_one_in_order(scheduler: str):
    for loop in LOOPS[:-1]:
        assert frames_of(3, num_frames=5, context_length=8, closed_loop=loop, scheduler=scheduler) == [
            (0, 1, 2, 3, 4)
        ]


def test_uniform_first_step_starts_at_the_first_frame():
    assert frames_of(0, num_frames=8, context_length=4, overlap=1, closed_loop="R-P") == [
        (0, 1, 2, 3),
        (3, 4, 5, 6),
        (6, 7, 0, 1),
    ]


def test_uniform_without_loop_replaces_a_wrapping_window_by_last_and_first_frames():
    assert frames_of(0, num_frames=8, context_length=4, overlap=1, closed_loop="N") == [
        (0, 1, 2, 3),
        (3, 4, 5, 6),
        (4, 5, 6, 7),
    ]
    assert frames_of(1, num_frames=8, context_length=4, overlap=1, closed_loop="N") == [
        (4, 5, 6, 7),
        (0, 1, 2, 3),
        (2, 3, 4, 5),
    ]


def test_uniform_closed_loop_ties_the_last_frame_to_the_first():
    windows = frames_of(0, num_frames=8, context_length=4, overlap=0, closed_loop="A")
    assert windows == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert any(
        wraps(window) for window in frames_of(2, num_frames=8, context_length=4, overlap=0, closed_loop="A")
    )


def test_uniform_stride_ties_frames_that_are_powers_of_two_apart():
    tied = {
        frozenset(window)
        for step in range(16)
        for window in frames_of(step, num_frames=8, context_length=4, stride=4, closed_loop="A")
    }
    assert {frozenset({0, 2, 4, 6}), frozenset({1, 3, 5, 7})} <= tied
    pairs = {
        frozenset(window)
        for step in range(16)
        for window in frames_of(step, num_frames=8, context_length=2, stride=4, closed_loop="A")
    }
    assert {frozenset(pair) for pair in ((0, 4), (1, 5), (2, 6), (3, 7))} <= pairs


def test_uniform_window_ends_before_it_would_come_round():
    windows = frames_of(0, num_frames=9, context_length=8, overlap=0, stride=2, closed_loop="A")
    assert (0, 2, 4, 6, 8) in windows


def test_static_windows_stay_and_the_last_is_shifted_left_to_fit():
    expected = [(0, 1, 2, 3), (3, 4, 5, 6), (6, 7, 8, 9)]
    for step in (0, 1, 7):
        assert (
            frames_of(step, num_frames=10, context_length=4, overlap=1, scheduler="standard static")
            == expected
        )
    assert frames_of(0, num_frames=9, context_length=4, overlap=1, scheduler="standard static")[-1] == (
        5,
        6,
        7,
        8,
    )


def test_looped_uniform_wraps_although_the_mode_is_without_loop():
    looped = frames_of(
        0, num_frames=8, context_length=4, overlap=1, scheduler="looped uniform", closed_loop="N"
    )
    assert looped == frames_of(
        0, num_frames=8, context_length=4, overlap=1, scheduler="uniform", closed_loop="A"
    )
    assert any(wraps(window) for window in looped)


@pytest.mark.parametrize("bad", [{"overlap": 4}, {"overlap": -1}, {"num_frames": 0}, {"stride": 0}])
def test_layout_that_does_not_fit_together_is_refused(bad: dict[str, int]):
    with pytest.raises(ValueError, match="overlap < context_length"):
        ContextLayout(**{"num_frames": 8, "context_length": 4, **bad})


# ----------------------------------------------------------------------------------------------- seamless


@pytest.mark.parametrize("num_frames", [1, 2, 5, 8, 16])
def test_seamless_single_window_holds_all_frames_in_circular_order(num_frames: int):
    for step in range(20):
        (window,) = frames_of(step, num_frames=num_frames, context_length=16, closed_loop="Seamless")
        steps = {(after - before) % num_frames for before, after in pairwise(window)}
        assert sorted(window) == list(range(num_frames))
        assert steps <= {1 % num_frames}


def test_seamless_seam_is_at_another_pair_in_each_step():
    loop = {"num_frames": 16, "context_length": 16, "closed_loop": "Seamless"}
    seams = [frames_of(step, **loop)[0][0] for step in range(15)]
    assert sorted(seams) == list(range(1, 16))
    assert seams[:3] == [8, 4, 12]


def test_other_loops_keep_the_single_window_where_it_is():
    for loop in ("N", "R-P", "R+P", "A"):
        assert frames_of(5, num_frames=16, context_length=16, closed_loop=loop) == [tuple(range(16))]


@pytest.mark.parametrize("num_frames", [16, 32, 48])
@pytest.mark.parametrize("scheduler", ["uniform", "standard static", "looped uniform"])
def test_seamless_first_step_has_the_files_ends_inside_a_window(scheduler: str, num_frames: int):
    windows = frames_of(
        0, num_frames=num_frames, context_length=16, overlap=4, closed_loop="Seamless", scheduler=scheduler
    )
    neighbours = {pair for window in windows for pair in pairwise(window)}
    assert (num_frames - 1, 0) in neighbours


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def test_seamless_long_clip_ties_last_and_first_frame_in_some_step(scheduler: str):
    assert any(
        any(pair == (19, 0) for pair in pairwise(window))
        for step in range(4)
        for window in frames_of(
            step, num_frames=20, context_length=8, overlap=2, closed_loop="Seamless", scheduler=scheduler
        )
    )


# -------------------------------------------------------------------------------------------------- tensors


@settings(max_examples=60)
@given(layouts(max_frames=60), st.integers(0, 100), st.integers(1, 3))
def test_fuse_of_what_was_gathered_is_the_clip_itself(layout: ContextLayout, step: int, groups: int):
    clip = torch.randn(groups * layout.num_frames, 2, 3, generator=torch.Generator().manual_seed(step))
    windows, rows = build_windows(layout, step), read_layout(len(clip), layout.num_frames)
    parts = (gather_rows(clip, rows, window, len(clip)) for window in windows)
    assert torch.allclose(fuse(windows, parts, layout.num_frames), clip, atol=1e-5)


def test_fuse_is_the_weighted_mean_of_overlapping_predictions():
    windows = (Window((0, 1), (1.0, 0.25)), Window((1, 2), (0.75, 1.0)))
    fused = fuse(windows, [torch.tensor([1.0, 1.0]), torch.tensor([5.0, 5.0])], 3)
    assert fused.tolist() == [1.0, 4.0, 5.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_fuse_of_one_window_returns_its_prediction_bit_for_bit(dtype: torch.dtype):
    prediction = torch.randn(8, 4, 3).to(dtype)
    window = Window(tuple(range(4)), (1.0,) * 4)
    assert torch.equal(fuse([window], [prediction], 4), prediction)


def test_fuse_asks_for_one_prediction_at_a_time():
    windows = build_windows(ContextLayout(12, 4, overlap=1, scheduler="standard static"), 0)
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    def predictions() -> Iterator[torch.Tensor]:
        nonlocal most
        for window in windows:
            prediction = torch.ones(len(window.frames))
            alive.add(prediction)
            most = max(most, len(alive))
            yield prediction

    assert fuse(windows, predictions(), 12).tolist() == pytest.approx([1.0] * 12)
    assert len(windows) == 4
    assert most <= 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("flat", [1, 1, 1, 1, 1, 1]),
        ("pyramid", [1, 2, 3, 3, 2, 1]),
        ("overlap-linear", [1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3]),
    ],
)
def test_fuse_weights_have_their_shape(kind: str, expected: list[float]):
    assert FUSE_WEIGHTS[kind](6, 2) == pytest.approx(expected)


def test_overlap_linear_fades_evenly_from_one_window_to_the_next():
    layout = ContextLayout(10, 6, overlap=2, scheduler="standard static", fuse="overlap-linear")
    first, second = build_windows(layout, 0)
    assert first.weights == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])
    assert second.weights == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1])
