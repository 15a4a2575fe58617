"""The measures of continuity, on clips whose steps are known."""

from __future__ import annotations

import numpy as np
from PIL import Image

from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import build_plan
from animatediff_webui.core.windows import ContextLayout, Window, build_windows
from demo_model.evaluation.steps import build_last_window_plan, is_border, step_sizes
from demo_model.loading import load_animator


def greys(*levels):
    return [Image.new("RGB", (4, 4), (level,) * 3) for level in levels]


def test_step_sizes_are_mean_differences_of_neighbours():
    assert step_sizes(greys(0, 10, 40)).tolist() == [10, 30]


def test_step_sizes_around_end_with_the_seam():
    assert step_sizes(greys(0, 10, 40), around=True).tolist() == [10, 30, 40]


def test_borders_are_where_two_windows_have_a_say():
    windows = build_windows(ContextLayout(10, 6, overlap=2, scheduler="standard static"), 0)
    assert [window.frames for window in windows] == [tuple(range(6)), tuple(range(4, 10))]
    assert is_border(windows, 10).tolist() == [False] * 3 + [True] * 3 + [False] * 3


def test_borders_without_blending_are_where_the_owner_changes():
    windows = (Window((0, 1, 2), (1.0, 1.0, 0.0)), Window((2, 3, 4), (1.0, 1.0, 1.0)))
    assert is_border(windows, 5).tolist() == [False, True, False, False]


def test_the_last_window_wins_every_frame_it_has():
    asked = parse_parameters({"video_length": 28, "context_scheduler": "standard static", "closed_loop": "N"})
    plan = build_plan(asked, module=None, prompt="a circle")
    animator = load_animator(with_motion=False, build_plan=build_last_window_plan)
    sharp = animator.plan("a circle", video_length=28, context_scheduler="standard static", closed_loop="N")
    weights = np.zeros(28)
    for window in sharp.windows(3):
        weights[list(window.frames)] += window.weights
    assert weights.tolist() == [1.0] * 28
    assert set(sharp.windows(0)[0].weights) == {0.0, 1.0}
    assert [w.frames for w in sharp.windows(0)] == [w.frames for w in plan.windows(0)]
    assert set(sharp.windows(0)[-1].weights) == {1.0}
