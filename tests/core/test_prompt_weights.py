"""Weights in prompts: the WebUI's grammar, case by case, and for any text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.prompt_weights import WeightedText, parse_weights

UP, DOWN = 1.1, 1 / 1.1
CASES = {
    "normal text": [("normal text", 1)],
    "an (important) word": [("an ", 1), ("important", UP), (" word", 1)],
    "(unbalanced": [("unbalanced", UP)],
    "unbalanced)": [("unbalanced)", 1)],
    "[unbalanced": [("unbalanced", DOWN)],
    "(literal]": [("literal]", UP)],
    r"\(literal\]": [("(literal]", 1)],
    r"a \\ b": [("a \\ b", 1)],
    r"a \b": [("a b", 1)],
    "(unnecessary)(parens)": [("unnecessaryparens", UP)],
    "(a:1.5)": [("a", 1.5)],
    "(a: -0.5 )": [("a", -0.5)],
    "(a:.5)": [("a", 0.5)],
    "a:1.5)": [("a:1.5)", 1)],
    "(a:b)": [("a:b", UP)],
    "[a:1.5]": [("a:1.5", DOWN)],
    "(a:1.5": [("a:1.5", UP)],
    "(a:1.2.3)": [("a:1.2.3", UP)],
    "((a) b:2)": [("a", 2 * UP), (" b", 2)],
    "(a [b) c]": [("a ", UP), ("b", UP * DOWN), (" c", DOWN)],
    "(((house:1.3)) [on] a (hill:0.5), sun": [
        ("house", 1.3 * UP * UP), (" ", UP), ("on", 1), (" a ", UP), ("hill", 0.5 * UP), (", sun", UP),
    ],
    "": [("", 1)],
}  # fmt: skip


@pytest.mark.parametrize("prompt", CASES)
def test_weights_are_those_of_the_webui(prompt):
    (section,) = parse_weights(prompt)
    assert [part.text for part in section] == [text for text, _ in CASES[prompt]]
    assert [part.weight for part in section] == pytest.approx([weight for _, weight in CASES[prompt]])


def test_break_begins_a_section_and_keeps_weights():
    assert parse_weights("a BREAK b BREAKFAST") == [[WeightedText("a")], [WeightedText("b BREAKFAST")]]
    assert parse_weights("(a BREAK b:2)") == [[WeightedText("a", 2.0)], [WeightedText("b", 2.0)]]
    assert parse_weights("BREAK a") == [[WeightedText("")], [WeightedText("a")]]


@given(st.text())
def test_escaped_text_comes_back_with_weight_one(text):
    escaped = re.sub(r"[()\[\]\\]", r"\\\g<0>", text)
    sections = parse_weights(escaped)
    if len(sections) == 1:
        assert sections == [[WeightedText(text)]]


@given(st.text(alphabet="ab ()[]:1.5\\"))
def test_any_text_is_read_and_neighbours_differ(text):
    for section in parse_weights(text):
        weights = [part.weight for part in section]
        assert all(left != right for left, right in pairwise(weights))
