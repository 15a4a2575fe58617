"""LoRA tags: one grammar, whoever reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.errors import LoraTagError
from animatediff_webui.core.lora_tags import LoraTag, find_lora_tags, take_lora_tags

names = st.text("abcXYZ019_- .", min_size=1).map(str.strip).filter(bool)
numbers = st.floats(-9, 9).map(lambda number: round(number, 3))


@pytest.mark.parametrize(
    ("tag", "strength"),
    [
        ("<lora:x>", 1.0),
        ("<lora:x:>", 1.0),
        ("<lora:x:-0.5>", -0.5),
        ("<lora:x:0.2:0.9>", 0.9),
        ("<lora:x:0.2:0.9:8>", 0.9),
        ("<lora:x:0.2:unet=0.7>", 0.7),
        ("<lora:x:te=0:unet=0.9>", 0.9),
        ("<lora:x:unet=0.9:te=0>", 0.9),
        ("<lora:x:te=0.4>", 0.4),
        ("<lora:x:0.3:dyn=4>", 0.3),
        ("<LyCO:x:2>", 2.0),
    ],
)
def test_strength_is_the_unets(tag: str, strength: float):
    assert find_lora_tags(f"a {tag} b") == (LoraTag("x", strength, tag),)


@pytest.mark.parametrize("strength", ["x", "0.5x", "nan", "inf", "1,5"])
def test_a_strength_that_is_no_number_is_refused_in_a_sentence(strength: str):
    with pytest.raises(LoraTagError, match=f"has the strength '{strength}', but it must be a number"):
        find_lora_tags(f"<lora:x:{strength}>")


@pytest.mark.parametrize(
    "tag",
    ["<lora:\ud800:x>", "<lora:a\nb:x>", f"<lora:{'n' * 10**6}:x>", f"<lora:a:{'9' * 10**6}x>"],
    ids=["half a character", "two lines", "long name", "long number"],
)
def test_the_refusal_of_a_tag_is_one_line_that_can_be_sent(tag: str):
    with pytest.raises(LoraTagError) as refused:
        find_lora_tags(tag)
    assert len(str(refused.value).encode()) < 500
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "<lora:>", "<lora:a", "lora:a:1>", "<lora:a:<b>", "<hypernet:a:1>", "<>"]
)
def test_what_is_no_tag_stays_text(text: str):
    assert take_lora_tags(text) == (text, ())


@given(st.lists(st.tuples(names, numbers), max_size=5), st.text("abc ,\n"))
def test_taking_cuts_out_the_tags_and_nothing_else(loras: list[tuple[str, float]], between: str):
    tags = [f"<lora:{name}:{strength}>" for name, strength in loras]
    text, taken = take_lora_tags(between + between.join(tags) + between)
    assert text == between * max(2, len(tags) + 1)
    assert [(tag.name, tag.strength, tag.text) for tag in taken] == [
        (name, strength, tag) for (name, strength), tag in zip(loras, tags, strict=True)
    ]


def test_tags_of_others_stay_in_the_text_whatever_their_strength():
    text, taken = take_lora_tags("a <lora:ours:0.5> <lora:theirs:odd>", lambda name: name == "ours")
    assert text == "a  <lora:theirs:odd>"
    assert [tag.name for tag in taken] == ["ours"]
