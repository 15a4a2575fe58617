"""From frames as a file stores them, which may last differently, to frames at a constant rate.

The rule: where every stored frame begins within half a frame of its place at a rate that the file names, or
at its mean rate, each is taken once. Else the rate is the most usual one, by the median of the times from
frame to frame, and at each of its ticks the frame is taken that a player shows in the middle of the tick: so
some are repeated, some left out, and length and speed stay.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

from animatediff_webui.media.timing import plausible_rate

_HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Timeline:
    """`stored` says which stored frame each frame at the constant rate `fps` is. `is_resampled`: whether
    that is another than each once."""

    fps: Fraction
    stored: Sequence[int]
    is_resampled: bool = False


def build_timeline(
    starts: Sequence[int], end: int, tick: Fraction, rates: Iterable[Fraction] = ()
) -> Timeline:
    """The timeline of frames that begin at `starts`, ascending, in units of `tick` seconds.

    `end` is when the last one is over, `rates` are those that the file names, the best first.
    """
    num_frames, length = len(starts), (end - starts[0]) * tick
    if length <= 0:
        return Timeline(next(iter(rates), Fraction(1)), range(num_frames))
    for rate in (*rates, plausible_rate(num_frames, length, tick)):
        if rate > 0 and _is_steady(starts, tick, rate):
            return Timeline(rate, range(num_frames))
    usual = _usual_rate(starts, end, tick)
    count = max(1, math.floor(length * usual + _HALF))
    middles = (starts[0] + (index + _HALF) / usual / tick for index in range(count))
    return Timeline(usual, [bisect_right(starts, middle) - 1 for middle in middles], is_resampled=True)


def _is_steady(starts: Sequence[int], tick: Fraction, rate: Fraction) -> bool:
    """Whether each frame begins within half a frame of its place."""
    first, step = starts[0], 1 / rate / tick
    return all(abs(start - first - index * step) < step / 2 for index, start in enumerate(starts))


def _usual_rate(starts: Sequence[int], end: int, tick: Fraction) -> Fraction:
    """The rate of the median time from frame to frame."""
    gaps = [right - left for left, right in pairwise((*starts, end)) if right > left]
    return plausible_rate(1, median_low(gaps) * tick, tick)
