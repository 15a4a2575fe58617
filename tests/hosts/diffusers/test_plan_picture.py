"""The plan as a picture: what changes over the frames adds a band of its own to it."""

from __future__ import annotations

import numpy as np
import pytest

from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import build_plan
from animatediff_webui.hosts.diffusers.plan_picture import draw_plan


def drawn(**asked):
    plan = build_plan(parse_parameters({"video_length": 16, **asked}), module=None)
    return np.asarray(draw_plan(plan, 4))


def height(**asked):
    return drawn(**asked).shape[0]


def test_values_that_change_are_drawn_and_others_are_not():
    plain = height()
    assert height(motion_effect=0.5) == plain
    band = height(motion_effect="0: 1, 50%: 0") - plain
    assert band > 20
    assert height(motion_effect="0: 1, 50%: 0", noise_weight="0: 0, 8: 1") == plain + 2 * band
    higher = drawn(motion_effect="0: 1 hold, 8: 0")
    assert not np.array_equal(higher, drawn(motion_effect="0: 0 hold, 8: 1"))


@pytest.mark.parametrize("move", ["pan left", "orbit right", "still"])
def test_a_camera_is_drawn_from_above(move):
    assert height(camera_model="c.ckpt", camera_motion=move) >= height() + 120
    path = drawn(camera_model="c.ckpt", camera_motion=move)[-120:]
    lines = ((path == (31, 119, 180)).all(-1)).sum()
    assert (lines > 60) == (move != "still")


def test_windows_are_drawn_as_long_as_in_their_steps():
    falling = {"batch_size": 16, "context_schedule": "0: 16 hold, 2: 8", "closed_loop": "N"}
    plan = build_plan(parse_parameters({"video_length": 16, **falling}), module=None, num_steps=4)
    rows = draw_plan(plan, 4).height - height(closed_loop="N")
    assert rows > 0
