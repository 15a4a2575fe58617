"""The order in which frames are played."""

from __future__ import annotations

import pytest

from animatediff_webui.core.frames import PING_PONG, ordered_frames


@pytest.mark.parametrize(
    ("reverse", "played"),
    [
        ((), "1234"),
        ((0,), "12344321"),
        ((0, 1), "1234321"),
        ((0, 2), "1234432"),
        ((0, 1, 2), "123432"),
        ((1,), "1234"),
        ((1, 2), "1234"),
    ],
)
def test_ordered_frames_follow_the_reverse_options(reverse: tuple[int, ...], played: str):
    assert "".join("1234"[index] for index in ordered_frames(4, reverse)) == played


@pytest.mark.parametrize(("num_frames", "played"), [(1, (0,)), (2, (0, 1)), (3, (0, 1, 2, 1))])
def test_ordered_frames_of_a_short_ping_pong_repeat_no_end(num_frames: int, played: tuple[int, ...]):
    assert ordered_frames(num_frames, PING_PONG) == played
