"""How long frames are shown: delays in a format's ticks whose total stays right."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

# Browsers show GIF frames of 0 or 1 centisecond for 10 of them.
_SHORTEST_GIF_DELAY = 2


def spread_durations(num_frames: int, fps: Fraction, ticks_per_second: int) -> list[int]:
    """Each frame's duration in ticks; any first k of them add up to k / fps, to half a tick."""
    ends = [_nearest(index * ticks_per_second / fps) for index in range(num_frames + 1)]
    return [end - start for start, end in pairwise(ends)]


def gif_delays(num_frames: int, fps: Fraction) -> list[int]:
    """Each frame's delay in centiseconds; 0 is a frame that has to be left out.

    The sum is the clip's length. No delay is below 2, as browsers slow those down: above 50 frames a second,
    frames whose time is too short are left out.
    """
    delays = spread_durations(num_frames, fps, 100)
    shown = 0
    for index in range(1, num_frames):
        if delays[shown] < _SHORTEST_GIF_DELAY:
            delays[shown], delays[index] = delays[shown] + delays[index], 0
        else:
            shown = index
    return _last_long_enough(delays, shown)


def plausible_rate(num_frames: int, length: Fraction, tick: Fraction) -> Fraction:
    """The frame rate of a clip that lasts `length` seconds, known to half a tick.

    A whole rate that fits is preferred, then a television one (30000/1001), then the quotient as it is.
    """
    measured = num_frames / length
    whole = Fraction(_nearest(measured))
    television = Fraction(_nearest(measured * 1001 / 1000) * 1000, 1001)
    for rate in (whole, television):
        if rate and abs(num_frames / rate - length) <= tick / 2:
            return rate
    return measured


def _last_long_enough(delays: list[int], shown: int) -> list[int]:
    """The last shown frame has none after it to borrow time from: its time goes to the one before."""
    if delays[shown] >= _SHORTEST_GIF_DELAY:
        return delays
    before = next((index for index in reversed(range(shown)) if delays[index]), None)
    if before is None:
        delays[shown] = _SHORTEST_GIF_DELAY
    else:
        delays[before], delays[shown] = delays[before] + delays[shown], 0
    return delays


def _nearest(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
