"""Requests by people who mean harm, or know no better: one sentence each, in time that grows with size."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.parameters import MAX_FRAMES, parse_parameters
from animatediff_webui.core.plan import build_plan, format_plan

ROOT = Path(__file__).parents[2]
HALF_A_MEGABYTE = 500_000


@pytest.mark.parametrize(
    "name", ["video_length", "batch_size", "stride", "overlap", "loop_number", "interp_x"]
)
@pytest.mark.parametrize(
    "value", [10**9, 2**63, 10**18, 1e299, 10**5000], ids=["1e9", "2^63", "1e18", "1e299", "huge"]
)
def test_sizes_without_a_bound_are_refused_by_name_before_anything_is_planned(name: str, value: Any):
    with pytest.raises(ParameterError, match=f"{name} is .*, but must be"):
        parse_parameters({name: value})


@pytest.mark.slow
def test_the_longest_clip_is_planned_whole():
    parameters = parse_parameters({"video_length": MAX_FRAMES, "stride": 4})
    plan = build_plan(parameters, module=None, prompt="0: a cat\n99%: a dog", negative_prompt="low quality")
    assert plan.num_frames == MAX_FRAMES
    assert f"{MAX_FRAMES} generated" in format_plan(plan)


def test_the_cost_is_that_of_the_windows():
    asked = {"video_length": 50, "batch_size": 8, "stride": 3, "freeinit_enable": True, "freeinit_fast": True}
    plan = build_plan(parse_parameters(asked), module=None)
    cost = plan.cost(7)
    windows = [
        window
        for steps in plan.steps_per_iteration(7)
        for step in range(steps)
        for window in plan.windows(step)
    ]
    assert cost.window_calls == len(windows)
    assert cost.frame_calls == sum(len(window.frames) for window in windows)


@pytest.mark.parametrize("fps", [100_001, 1e9, 1e299, 1e-9, 1e-300, float("nan"), float("inf")])
def test_rates_that_no_video_can_have_are_refused_before_sampling(fps: float):
    with pytest.raises(ParameterError, match="fps is"):
        build_plan(parse_parameters({"fps": fps}), module=None)


def test_rates_that_one_format_cannot_have_are_refused_with_its_name():
    with pytest.raises(ParameterError, match="GIF shows a frame for at most 655 seconds"):
        build_plan(parse_parameters({"fps": 0.001, "format": ["MP4", "GIF"]}), module=None)
    assert build_plan(parse_parameters({"fps": 0.001, "format": "MP4"}), module=None).fps == Fraction(1, 1000)


def nested(depth: int) -> list[Any]:
    inside: list[Any] = []
    for _ in range(depth):
        inside = [inside]
    return inside


@pytest.mark.parametrize(
    "raw",
    [
        {"fps": 10**5000},
        {"video_end": 10**5000},
        {"closed_loop": 10**5000},
        {"format": [10**5000]},
        {"model": nested(100_000)},
        {"stride": np.zeros(3)},
        {"closed_loop": np.zeros(3)},
        {"model": np.zeros(0)},
        {"last_frame": np.zeros((2, 2))},
        {"reverse": [np.zeros(2)]},
        {"enable": np.bool_(True)},
        {"\ud800": 1},
        {"x" * 10**6: 1},
        {"video_path": "\ud800\0"},
    ],
    ids=range(14),
)
def test_refusals_do_not_fail_themselves_and_can_be_sent(raw: dict[str, Any]):
    with pytest.raises(ParameterError) as refused:
        parse_parameters(raw)
    sentence = str(refused.value)
    assert len(sentence.encode("utf-8")) < 2500
    assert "\n" not in sentence


SHAPES = {
    "blanks": "' ' * n",
    "lines": "'\\n' * n",
    "tabs": "'\\t' * n",
    "line ends": "'\\r\\n' * (n // 2)",
    "blanks then a colon": "' ' * n + ':'",
    "a number and blanks": "'0' + ' ' * n",
    "a key and blanks": "'{\"0' + ' ' * n",
    "json entries": "'{' + ', '.join(f'\"{i}\": \"a\"' for i in range(n // 12)) + '}'",
    "head lines": "'h\\n' * (n // 2) + '0: a'",
    "tail lines": "'0: a\\n' + 't\\n' * (n // 2)",
    "keyframes": "'0: a\\n' * (n // 5)",
    "rising keyframes": "'\\n'.join(f'{i}: a' for i in range(n // 9))",
    "commas": "'0: ' + ',' * n",
    "commas apart": "'0: <lora:x>' + ', ' * (n // 2)",
    "open tags": "'<lora:' * (n // 6)",
    "open tags with names": "'0: ' + '<lora:a' * (n // 7)",
    "tags": "'0: ' + '<lora:a:1>' * (n // 10)",
    "digits": "'1' * n",
    "backslashes": "'{\"0\": \"' + '\\\\' * n",
    "quotes": "'\"' * n",
    "words": "'0: ' + 'BREAK ' * (n // 6)",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_half_a_megabyte_of_prompt_is_read_in_time_that_grows_with_it(shape: str):
    """By the square of its size it would be an hour; so this asks for an answer, not for a speed."""
    code = (
        "from animatediff_webui.core.errors import UserError\n"
        "from animatediff_webui.core.prompt_travel import parse_prompt_travel\n"
        f"n = {HALF_A_MEGABYTE}\n"
        "try:\n"
        f"    parse_prompt_travel({SHAPES[shape]}, 100_000)\n"
        "except UserError as error:\n"
        "    assert len(str(error)) < 1000, len(str(error))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
