"""Frame rates as exact fractions: 30000/1001 stays what it is."""

from __future__ import annotations

import math
from fractions import Fraction

from .errors import ParameterError

DEFAULT_FPS = 8.0
"""Where nothing says otherwise."""
MAX_FPS = 10_000
# ffmpeg keeps both parts of a rate in 32 bits, and scales them.
_MAX_DENOMINATOR = 100_000


def exact_fps(fps: Fraction | float) -> Fraction:
    """`fps` as the fraction that was meant: 29.97 is 2997/100, and a Fraction such as 30000/1001 stays.

    Raises ParameterError where no video can have it.
    """
    if isinstance(fps, bool) or not math.isfinite(fps) or not 0 < fps <= MAX_FPS:
        raise ParameterError(f"fps is {fps}, but must be above 0 and at most {MAX_FPS}.")
    exact = fps if isinstance(fps, Fraction) else Fraction(str(float(fps)))
    rate = exact.limit_denominator(_MAX_DENOMINATOR)
    if rate == 0:
        raise ParameterError(
            f"fps is {fps}, but the slowest rate is one frame in {_MAX_DENOMINATOR} seconds."
        )
    return rate
