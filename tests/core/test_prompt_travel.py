"""Prompt travel: the grammar, the blends over frames, and the embeddings."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.errors import PromptTravelError
from animatediff_webui.core.lora_tags import LoraTag
from animatediff_webui.core.prompt_travel import (
    PromptTrack,
    blend_embeddings,
    pad_embeddings,
    parse_prompt_travel,
)


def keyframes(track: PromptTrack) -> list[tuple[int, str]]:
    return [(keyframe.frame, track.prompts[keyframe.prompt]) for keyframe in track.keyframes]


def positions(track: PromptTrack) -> list[float]:
    """How far each frame is from prompt 0 to prompt 1, for tracks of two prompts."""
    return [blend.left * (1 - blend.position) + blend.right * blend.position for blend in track.blends]


# ------------------------------------------------------------------------------------------------- grammar


def test_parse_joins_head_keyframe_and_tail():
    track = parse_prompt_travel("masterpiece,\n1girl\n\n0: closed mouth\n8: open mouth\nsoft light\nfog", 16)
    assert keyframes(track) == [
        (0, "masterpiece, 1girl, closed mouth, soft light, fog"),
        (8, "masterpiece, 1girl, open mouth, soft light, fog"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "a: b",
        "a cat,\nin a hat: red",
        "16:9 photo",
        "4:3",
        "photo\n16:9 format",
        "0.5: half",
        "(8:1.2)",
    ],
)
def test_parse_text_without_keyframes_is_one_prompt_unchanged(text: str):
    track = parse_prompt_travel(text, 16)
    assert track.prompts == (text,)
    assert set(track.blends) == {(0, 0, 0.0)}
    assert not track.is_travelling


def test_parse_lone_line_whose_colon_is_not_followed_by_a_digit_is_a_keyframe():
    assert keyframes(parse_prompt_travel("0: a cat", 16)) == [(0, "a cat")]
    assert keyframes(parse_prompt_travel("0:a cat", 16)) == [(0, "a cat")]


def test_parse_two_lines_with_digits_after_the_colon_are_keyframes():
    assert keyframes(parse_prompt_travel("0:1girl\n8:2girls", 16)) == [(0, "1girl"), (8, "2girls")]


@pytest.mark.parametrize("separator", ["BREAK", "AND"])
def test_parse_puts_no_comma_beside_break_and_and(separator: str):
    track = parse_prompt_travel(f"head {separator}\n0: a\n{separator} tail", 16)
    assert track.prompts == (f"head {separator} a {separator} tail",)


def test_parse_keeps_the_hosts_prompt_syntax():
    text = "(best:1.3), <lora:x:0.7>\n0: [a:b:0.5], {c|d}\n8: (e:1.2) \\(f\\)"
    assert parse_prompt_travel(text, 16).prompts == (
        "(best:1.3), <lora:x:0.7>, [a:b:0.5], {c|d}",
        "(best:1.3), <lora:x:0.7>, (e:1.2) \\(f\\)",
    )


@pytest.mark.parametrize(
    ("position", "num_frames", "fps", "frame"),
    [
        ("7", 16, 8, 7),
        ("0%", 16, 8, 0),
        ("50%", 17, 8, 8),
        ("50 %", 16, 8, 8),
        ("12.5%", 17, 8, 2),
        ("100%", 16, 8, 15),
        ("1s", 16, 8, 8),
        ("1.5s", 16, 8, 12),
        ("1s", 60, Fraction(30000, 1001), 30),
        ("0.5s", 16, 7, 4),
    ],
)
def test_parse_position_means_a_frame(position: str, num_frames: int, fps: float, frame: int):
    assert parse_prompt_travel(f"{position}: a", num_frames, fps).keyframes[0].frame == frame


@pytest.mark.parametrize(
    "text",
    [
        '"0": "a, b", "8": "c \\"d\\""',
        '{"0": "a, b", "8": "c \\"d\\""}',
        ' {\n "0" : "a, b" ,\n "50%" : "c \\"d\\"" ,\n}\n',
    ],
)
def test_parse_reads_json_like_schedules(text: str):
    assert keyframes(parse_prompt_travel(text, 17)) == [(0, "a, b"), (8, 'c "d"')]


def test_parse_prompts_are_distinct():
    track = parse_prompt_travel("0: a\n4: b\n8: a", 12)
    assert track.prompts == ("a", "b")
    assert [keyframe.prompt for keyframe in track.keyframes] == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("head\n0: a\n16: b", r"Line 3: keyframe 16 is past the last frame \(15\): use 0 to 15, or raise"),
        ("0: a\n3s: b", r"Line 2: keyframe 3s \(frame 24\) is past the last frame"),
        ("120%: a", r"Line 1: keyframe 120% \(frame 18\) is past the last frame"),
        ("8: a\n4: b", r"Line 2: keyframe 4 does not come after keyframe 8"),
        ("8: a\n\n8: b", r"Line 3: keyframe 8 does not come after keyframe 8"),
        ("0: a\n1%: b", r"Line 2: keyframe 1% \(frame 0\) does not come after keyframe 0"),
        ("0: a\nfog\n8: b", r"Line 3: keyframe 8 follows line 2, which is no keyframe"),
        ("0: a\n16:9 photo", r"Line 2.*if this line is no keyframe, begin it with another word"),
        ("0: <lora:pan:strong>", r"Line 1: <lora:pan:strong> has the strength 'strong'.*must be a number"),
        ('"0": "a"\n"8": "b"', r"Line 2: expected an entry such as"),
        ('"0": "a",\n"8" "b"', r"Line 2: expected an entry such as"),
        ('"0": "a",\n"x": "b"', r"Line 2: 'x' is no keyframe"),
        ('"0": "a\\q"', r"Line 1: .*backslash"),
    ],
)
def test_parse_error_names_the_line_and_what_to_do(text: str, words: str):
    with pytest.raises(PromptTravelError, match=words):
        parse_prompt_travel(text, 16)


WORDS = st.text(st.sampled_from("abcdefgh ABC"), min_size=1, max_size=12).map(str.strip).filter(bool)


@given(
    st.sets(st.integers(0, 39), min_size=1, max_size=6),
    st.lists(WORDS, max_size=2),
    st.lists(WORDS, max_size=2),
    st.booleans(),
    st.data(),
)
def test_parse_gives_each_keyframe_its_own_prompt(
    frames: set[int], head: list[str], tail: list[str], looped: bool, data: st.DataObject
):
    schedule = [(frame, data.draw(WORDS)) for frame in sorted(frames)]
    text = "\n".join([*head, *(f"{frame}: {words}" for frame, words in schedule), *tail])
    track = parse_prompt_travel(text, 40, looped=looped)
    assert keyframes(track) == [(frame, ", ".join([*head, words, *tail])) for frame, words in schedule]
    assert len(set(track.prompts)) == len(track.prompts)
    for frame, words in schedule:
        blend = track.blends[frame]
        assert (track.prompts[blend.left], blend.position) == (", ".join([*head, words, *tail]), 0.0)
    assert all(0 <= blend.position < 1 for blend in track.blends)


# -------------------------------------------------------------------------------------------------- blends


def test_blends_go_linearly_from_keyframe_to_keyframe_and_hold_outside():
    track = parse_prompt_travel("2: a\n6: b", 8)
    assert positions(track) == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_blends_of_a_loop_go_round_the_end():
    track = parse_prompt_travel("2: a\n6: b", 8, looped=True)
    assert positions(track) == [0.5, 0.25, 0, 0.25, 0.5, 0.75, 1, 0.75]


def test_blends_of_a_loop_with_one_keyframe_hold():
    assert set(parse_prompt_travel("3: a", 8, looped=True).blends) == {(0, 0, 0.0)}


def test_blends_that_hold_jump_at_the_next_keyframe():
    assert positions(parse_prompt_travel("2: a\n6: b", 8, easing="hold")) == [0, 0, 0, 0, 0, 0, 1, 1]
    assert positions(parse_prompt_travel("2: a\n6: b", 8, looped=True, easing="hold")) == [
        1,
        1,
        0,
        0,
        0,
        0,
        1,
        1,
    ]


def test_blends_eased_start_and_end_slowly_and_meet_in_the_middle():
    eased = positions(parse_prompt_travel("0: a\n8: b", 9, easing="ease in-out"))
    assert eased[4] == 0.5
    assert eased[1] < 1 / 8
    assert eased[7] > 7 / 8
    assert eased == sorted(eased)


def test_extended_track_holds_its_last_frame():
    track = parse_prompt_travel("0: a\n4: b", 6, looped=True)
    extended = track.extended(9)
    assert extended.num_frames == 9
    assert extended.blends[:6] == track.blends
    assert set(extended.blends[6:]) == {track.blends[-1]}


# --------------------------------------------------------------------------------------------------- LoRAs


def test_keyframe_loras_are_taken_out_of_the_prompt_and_kept_by_keyframe():
    track = parse_prompt_travel("<lora:style:0.5>\n0: a <lora:pan-left:0.8>, b\n8: c", 16)
    assert track.prompts == ("<lora:style:0.5>, a, b", "<lora:style:0.5>, c")
    assert track.keyframe_loras == ((0, (LoraTag("pan-left", 0.8, "<lora:pan-left:0.8>"),)),)


@pytest.mark.parametrize(
    ("tag", "strength"),
    [
        ("<lora:x>", 1.0),
        ("<lora:x:-0.5>", -0.5),
        ("<lora:x:0.2:0.9>", 0.9),
        ("<lora:x:0.2:unet=0.7>", 0.7),
        ("<lyco:x:2>", 2.0),
    ],
)
def test_keyframe_lora_strength_is_the_unets(tag: str, strength: float):
    ((_, (found,)),) = parse_prompt_travel(f"0: a {tag}", 8).keyframe_loras
    assert (found.name, found.strength, found.text) == ("x", strength, tag)


def test_lora_strengths_blend_over_frames_like_the_prompts():
    track = parse_prompt_travel("0: a <lora:x:1>\n4: a <lora:x:3> <lora:y:2>\n8: a", 10)
    assert track.prompts == ("a",)
    assert track.lora_strengths["x"] == (1, 1.5, 2, 2.5, 3, 2.25, 1.5, 0.75, 0, 0)
    assert track.lora_strengths["y"] == (0, 0.5, 1, 1.5, 2, 1.5, 1, 0.5, 0, 0)


# ---------------------------------------------------------------------------------------------- embeddings


def slerp(left: torch.Tensor, right: torch.Tensor, position: float) -> torch.Tensor:
    """Shoemake's formula on whole embeddings, in float64."""
    a, b = left.double().flatten(), right.double().flatten()
    angle = math.acos(float(a @ b / (a.norm() * b.norm())))
    mixed = (math.sin((1 - position) * angle) * a + math.sin(position * angle) * b) / math.sin(angle)
    return mixed.reshape(left.shape).to(left.dtype)


def random_embeddings(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(2, 77, 48), (2, 64)])
def test_blend_embeddings_slerps_tokens_and_pooled_vectors(shape: tuple[int, ...]):
    embeddings = random_embeddings(*shape)
    track = parse_prompt_travel("0: a\n4: b", 5)
    blended = blend_embeddings(embeddings, track)
    expected = torch.stack([slerp(embeddings[0], embeddings[1], i / 4) for i in range(5)])
    assert torch.allclose(blended, expected, atol=1e-5)


def test_blend_embeddings_linear_is_the_weighted_mean():
    embeddings = random_embeddings(2, 7, 5)
    blended = blend_embeddings(embeddings, parse_prompt_travel("0: a\n4: b", 5), "linear")
    assert torch.allclose(blended[1], 0.75 * embeddings[0] + 0.25 * embeddings[1], atol=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_blend_embeddings_of_parallel_and_opposite_vectors_is_linear_and_finite(sign: float):
    first = random_embeddings(7, 5)
    embeddings = torch.stack([first, sign * 1.0001 * first])
    blended = blend_embeddings(embeddings, parse_prompt_travel("0: a\n4: b", 5))
    assert torch.allclose(blended[2], embeddings.mean(dim=0), atol=1e-5)


def test_blend_embeddings_of_zeros_is_zero():
    blended = blend_embeddings(torch.zeros(2, 3), parse_prompt_travel("0: a\n4: b", 5))
    assert torch.equal(blended, torch.zeros(5, 3))


@pytest.mark.parametrize("how", ["slerp", "linear"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_blend_embeddings_on_a_keyframe_is_that_embedding_bit_for_bit(how: Any, dtype: torch.dtype):
    embeddings = random_embeddings(3, 7, 5).to(dtype)
    blended = blend_embeddings(embeddings, parse_prompt_travel("1: a\n4: b\n7: c", 9), how)
    assert blended.dtype == dtype
    assert torch.equal(blended[[0, 1, 4, 7, 8]], embeddings[[0, 0, 1, 2, 2]])


def test_blend_embeddings_of_the_wrong_number_of_prompts_is_refused():
    with pytest.raises(ValueError, match="2 prompts, found 3"):
        blend_embeddings(torch.zeros(3, 4), parse_prompt_travel("0: a\n4: b", 5))


def test_pad_embeddings_continues_shorter_prompts_with_empty_chunks():
    empty, short, long = torch.zeros(3, 2), torch.ones(3, 2), torch.full((9, 2), 2.0)
    padded = pad_embeddings([short, long], empty)
    assert padded.shape == (2, 9, 2)
    assert torch.equal(padded[0], torch.cat([short, empty, empty]))
    assert torch.equal(padded[1], long)


def test_pad_embeddings_of_lengths_that_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="whole chunks of 3 tokens, found 3 and 8"):
        pad_embeddings([torch.zeros(3, 2), torch.zeros(8, 2)], torch.zeros(3, 2))
