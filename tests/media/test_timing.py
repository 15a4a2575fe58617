"""Delays whose total stays right, and rates that survive being measured."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.frame_rate import exact_fps
from animatediff_webui.media.timing import gif_delays, plausible_rate, spread_durations

COUNTS = st.integers(1, 200)
RATES = st.fractions(Fraction(1, 100), 500, max_denominator=1001)


@given(COUNTS, RATES, st.sampled_from([100, 1000]))
def test_spread_durations_any_rate_every_beginning_is_right_to_half_a_tick(count, fps, ticks):
    durations = spread_durations(count, fps, ticks)
    for end in range(count + 1):
        assert abs(sum(durations[:end]) - end * ticks / fps) <= Fraction(1, 2)


@given(COUNTS, RATES)
def test_gif_delays_any_rate_total_is_right_and_none_is_slowed_down_by_browsers(count, fps):
    delays = gif_delays(count, fps)
    assert len(delays) == count
    assert delays[0] >= 2
    assert all(delay == 0 or delay >= 2 for delay in delays)
    assert abs(sum(delays) - max(2, count * 100 / fps)) <= Fraction(1, 2)


@given(COUNTS, st.fractions(Fraction(1, 100), 50, max_denominator=1001))
def test_gif_delays_up_to_50_fps_no_frame_is_left_out(count, fps):
    assert all(gif_delays(count, fps))


def test_gif_delays_of_8_fps_alternate():
    assert gif_delays(4, Fraction(8)) == [13, 12, 13, 12]


@given(COUNTS, st.sampled_from([*map(Fraction, range(1, 61)), Fraction(24000, 1001), Fraction(30000, 1001)]))
def test_plausible_rate_of_spread_milliseconds_plays_for_the_same_time(count, fps):
    total = Fraction(sum(spread_durations(count, fps, 1000)), 1000)
    rate = plausible_rate(count, total, Fraction(1, 1000))
    assert abs(count / rate - count / fps) <= Fraction(1, 1000)
    if fps.denominator == 1 and count >= 60:
        assert rate == fps


def test_plausible_rate_of_television_is_found():
    total = Fraction(sum(spread_durations(60, Fraction(30000, 1001), 1000)), 1000)
    assert plausible_rate(60, total, Fraction(1, 1000)) == Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("fps", "exact"),
    [
        (8, 8),
        (29.97, Fraction(2997, 100)),
        (1 / 3, Fraction(1, 3)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
    ],
)
def test_exact_fps_is_the_rate_that_was_meant(fps, exact):
    assert exact_fps(fps) == exact


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9, 1e-9, True])
def test_exact_fps_of_an_impossible_rate_is_refused(fps):
    with pytest.raises(ParameterError, match="fps is"):
        exact_fps(fps)
