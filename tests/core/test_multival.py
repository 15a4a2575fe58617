"""Values over frames and the picture: every way to write one, what they are over a clip, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.fields import json_value
from animatediff_webui.core.infotext import format_value, parse_value
from animatediff_webui.core.multival import Mask, Multival, parse_multival
from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import build_plan, format_plan
from tests.core.arguments import api_value
from tests.core.test_parameters import FIELD_BY_NAME


def values(raw: object, num_frames: int = 9, fps: float = 8) -> list[float]:
    over = parse_multival(raw, "motion_scale").over_frames(num_frames, fps, "motion_scale")
    return [round(value, 4) for value in over.values]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (1.5, [1.5] * 9),
        ("1.5", [1.5] * 9),
        ("", [1] * 9),
        ("0: 1, 8: 0", [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]),
        ("0: 1\n100%: 0", [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]),
        ("0: 1, 1s: 0", [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]),
        ("2: 1 hold, 50%: 0.5", [1] * 4 + [0.5] * 5),
        ("0: 0 ease in-out, 4: 1", [0, 0.1562, 0.5, 0.8438, 1, 1, 1, 1, 1]),
        ("0.5 * 0: 1 hold, 4: 2", [0.5] * 4 + [1] * 5),
        ({"value": 0.5, "schedule": "0: 1 hold, 4: 2"}, [0.5] * 4 + [1] * 5),
        ([0.5, "0: 1 hold, 4: 2"], [0.5] * 4 + [1] * 5),
        ([2, 0.5], [1] * 9),
    ],
)
def test_values_over_frames_are_what_was_written(raw: object, expected: list[float]):
    assert values(raw) == expected


@pytest.mark.parametrize(
    ("raw", "mask"),
    [
        ("left.png", Mask("left.png")),
        ("masks/left.png [0.2, 1.5]", Mask("masks/left.png", 0.2, 1.5)),
        ("C:\\masks [1, 0]", Mask("C:\\masks", 1, 0)),
        ({"mask": "masks", "low": 0.5}, Mask("masks", 0.5, 1)),
        ("0: 1, 8: 0.5 * left.png", Mask("left.png")),
    ],
)
def test_masks_have_what_black_and_white_mean(raw: object, mask: Mask):
    assert mask in parse_multival(raw, "motion_effect").factors


@given(api_value(FIELD_BY_NAME["motion_scale"]))
def test_json_reads_back_as_the_same(raw: Any):
    field = FIELD_BY_NAME["motion_scale"]
    multival = field.read(raw)
    assert field.read(json.loads(json.dumps(json_value(multival)))) == multival


@given(st.lists(st.sampled_from(["0.25", "0: 1, 4: 3 hold", "a/b.png [0.1, 2]", "1e.png"]), max_size=3))
def test_text_reads_back_as_the_same(parts: list[str]):
    multival = parse_multival(" * ".join(parts), "motion_scale")
    assert parse_multival(str(multival), "motion_scale") == multival


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (-1, "must be a number from 0 to 100"),
        (float("nan"), "must be a number"),
        (101, "must be a number"),
        (True, "must be a number"),
        ("nan", "must be a number"),
        ("-0.5", "must be a number"),
        ("masks", "a mask's path"),
        ("0: nan", "is no entry"),
        ("0: 1 bouncy", "bouncy is no pace"),
        ("0: 200", "must be a number"),
        ("a.png [0, x]", "must be a number"),
        ({"maks": "a.png"}, "has no maks: there are value, schedule, mask, low, high"),
        ({"low": 0.5}, "name a mask"),
        ({"mask": 5}, "must be"),
        ({"schedule": 5}, "must be"),
        ([[1]], "must be"),
        ({"mask": "data:image/png;base64,AAAA"}, "no picture"),
    ],
)
def test_what_is_no_multival_is_refused_by_name(raw: object, words: str):
    with pytest.raises(ParameterError, match=words) as refusal:
        parse_parameters({"motion_scale": raw})
    assert "motion_scale" in str(refusal.value)


@pytest.mark.parametrize("raw", [1.5, "0: 0, 8: 2", "a.png [0, 1.5]", {"value": 0.5, "schedule": "0: 3"}])
def test_noise_weights_above_one_are_refused(raw: object):
    with pytest.raises(ParameterError, match=r"noise_weight is .*, but must be a number from 0 to 1, a sch"):
        parse_parameters({"noise_weight": raw})
    assert parse_parameters({"noise_weight": "0.5 * 0: 0, 8: 2"}).noise.weight.highest == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0: 1, 16: 0", r"16 is past the last frame \(15\)"),
        ("0: 1, 5s: 0", r"5s \(frame 40\) is past the last frame"),
        ("8: 1, 4: 0", "4 does not come after frame 8"),
        ("0: 1, 0%: 0", r"0% \(frame 0\) does not come after frame 0"),
    ],
)
def test_plan_refuses_entries_that_the_clip_cannot_have(text: str, words: str):
    with pytest.raises(ParameterError, match=words):
        build_plan(parse_parameters({"motion_effect": text}), module=None)


def test_plan_shows_values_that_change_and_is_silent_about_others():
    drawn = format_plan(build_plan(parse_parameters({"motion_effect": "0: 1, 15: 0"}), module=None))
    assert "Motion effect  0: 1, 15: 0" in drawn
    assert "0 to 1" in drawn
    assert "Motion scale" not in drawn


def test_infotext_keeps_numbers_and_schedules_but_no_masks():
    asked = parse_parameters({"motion_effect": ["0: 1, 50%: 0.4", {"mask": "/home/me/left.png"}]})
    text = format_value(asked)
    assert "/home/me" not in text
    assert parse_value(text).parameters.motion.effect == parse_multival("0: 1, 50%: 0.4", "motion_effect")
    assert Multival().is_one
