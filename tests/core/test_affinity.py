"""How alike frames are to a picture: every way to write it, what it is over a clip, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from animatediff_webui.core.affinity import PRESETS, parse_affinity
from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.fields import json_value
from animatediff_webui.core.parameters import FIELD_BY_NAME, parse_parameters
from animatediff_webui.core.plan import build_plan, format_plan
from tests.core.arguments import api_value

FIELD = FIELD_BY_NAME["affinity"]


@pytest.mark.parametrize(
    ("raw", "count", "expected"),
    [
        ("", 3, [1, 0.9, 0.85]),
        (1, 8, [1, 0.8, 0.8, 0.8, 0.79, 0.78, 0.75, 0.75]),
        ("2", 2, [1, 0.8]),
        ("Style  Large", 4, [0.5, 0.2, 0.2, 0.2]),
        ("loop small", 1, [1]),
        ("loop large", 4, [1, 0.7, 0.7, 1]),
        ("1, .5", 3, [1, 0.5, 0.5]),
        ("[0.25]", 2, [0.25, 0.25]),
        ([1, 0.75, 0], 2, [1, 0.75]),
    ],
)
def test_each_frame_has_its_value(raw: object, count: int, expected: list[float]):
    assert list(parse_affinity(raw, "affinity").over_frames(count)) == expected


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("loop")])
@pytest.mark.parametrize("count", [2, 9, 16, 40])
def test_loop_of_any_length_comes_round_and_is_the_published_one_at_its_own_length(name: str, count: int):
    values = parse_affinity(name, "affinity").over_frames(count)
    assert values[0] == values[-1] == 1
    assert min(values) < 1 or count == 2
    assert parse_affinity(name, "affinity").over_frames(16) == PRESETS[name]


@given(api_value(FIELD))
def test_json_and_text_read_back_as_the_same(raw: Any):
    affinity = FIELD.read(raw)
    assert FIELD.read(json.loads(json.dumps(json_value(affinity)))) == affinity
    assert FIELD.read_text(str(affinity)) == affinity


@pytest.mark.parametrize("raw", ["tiny", "6", 6, -1, True, "1, x", [], [2], ["1"], "1, -0.5", 0.5, {}])
def test_what_is_none_is_refused(raw: object):
    with pytest.raises(ParameterError, match=r"affinity is .*, but must be one of small, medium"):
        FIELD.read(raw)


def test_plan_draws_it_where_it_is_asked_for():
    asked = parse_parameters({"affinity": "loop large"})
    shown = format_plan(build_plan(asked, module=None))
    assert "Affinity  loop large" in shown
    assert "0.5 to 1" in shown
    assert "Affinity" not in format_plan(build_plan(parse_parameters(), module=None))
