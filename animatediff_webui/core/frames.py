"""Which generated frames the video shows, and in which order: lists of indices, so that nothing is copied."""

from __future__ import annotations

from collections.abc import Collection

PING_PONG = frozenset({0, 1, 2})


def ordered_frames(num_frames: int, reverse: Collection[int] = ()) -> tuple[int, ...]:
    """Frame indices as played.

    `reverse` holds 0: the frames are followed by themselves in reverse; 1: without the first of the reversed
    ones; 2: without the last of them. `PING_PONG` has all three: forth and back, no frame shown twice in a
    row. Without 0 there is nothing for 1 and 2 to shorten.
    """
    forward = tuple(range(num_frames))
    if 0 not in reverse:
        return forward
    backward = forward[::-1]
    return forward + backward[1 if 1 in reverse else 0 : num_frames - 1 if 2 in reverse else num_frames]
