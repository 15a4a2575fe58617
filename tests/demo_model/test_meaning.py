"""What the embedded model draws is what it was told: judged by geometry, without a network."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from animatediff_webui.media import read_frames
from demo_model import files as embedded
from standalone import Animator

pytestmark = pytest.mark.skipif(not embedded.is_complete(), reason="the embedded model is not there")

SEEDS = (1, 2, 3)
PROMPTS = pytest.mark.parametrize(
    ("color", "shape", "background", "direction"),
    [
        ("red", "circle", "blue", "right"),
        ("blue", "square", "white", "left"),
        ("yellow", "star", "black", "up"),
        ("green", "triangle", "purple", "down"),
    ],
)


@pytest.fixture(scope="module")
def model() -> Animator:
    return Animator()


def judged(clip):
    from demo_model.evaluation.judge import judge_clip

    return judge_clip(list(clip.frames()))


def majority(values) -> bool:
    values = list(values)
    return sum(values) * 2 > len(values)


@pytest.fixture(scope="module")
def found(model):
    """The judgements of each prompt's clips, made once, in as many steps as the evaluation takes."""

    def judge_all(prompt):
        return tuple(judged(model.generate(prompt, seed=seed, steps=10)) for seed in SEEDS)

    return functools.cache(judge_all)


def prompt_of(color: str, shape: str, background: str, direction: str) -> str:
    return f"a {color} {shape} moving {direction} on a {background} background"


def test_a_clip_shows_what_its_prompt_says(model):
    clip = judged(model.generate(prompt_of("red", "circle", "blue", "right"), seed=1, steps=10))
    assert (clip.object_color, clip.background_color, clip.direction) == ("red", "blue", "right")
    assert clip.coherent


@pytest.mark.slow
@PROMPTS
def test_colors_are_those_of_the_prompt(color, shape, background, direction, found):
    clips = found(prompt_of(color, shape, background, direction))
    assert majority(each.object_color == color for each in clips)
    assert majority(each.background_color == background for each in clips)


@pytest.mark.slow
@PROMPTS
def test_the_object_moves_as_the_prompt_says(color, shape, background, direction, found):
    clips = found(prompt_of(color, shape, background, direction))
    assert majority(each.direction == direction for each in clips)
    assert majority(each.coherent for each in clips)


STILL = "a red circle standing still on a blue background"


@pytest.mark.slow
@pytest.mark.parametrize("prompt", [STILL, "a green star on a white background"])
def test_what_does_not_move_stays_where_it_is(prompt, found):
    clips = found(prompt)
    assert majority(each.drift < 0.08 for each in clips)
    assert majority(each.coherent for each in clips)


@pytest.mark.slow
def test_without_the_motion_module_frames_do_not_cohere(model):
    still, prompt = Animator(motion_module="none"), "a red circle moving right on a blue background"
    found = [judged(still.generate(prompt, seed=seed)) for seed in SEEDS]
    assert not any(each.coherent for each in found)


@pytest.mark.slow
def test_a_motion_lora_changes_the_motion(found):
    plain, drifting = found(STILL), found(f"{STILL} <lora:drift_right:1>")
    assert majority(each.direction == "right" for each in drifting)
    assert sum(each.displacement for each in drifting) > 2 * sum(each.displacement for each in plain)


@pytest.mark.slow
def test_an_outline_is_filled_in_the_prompts_colour_where_it_is(model):
    from demo_model.evaluation.driven import measure_control

    found = dict(measure_control(model, 1).lines)
    assert float(found["overlap with the outline"]) > 0.75
    assert found["object colour right"] == "100% of 1 clips"


@pytest.mark.slow
def test_a_video_in_another_colour_goes_where_it_went_if_the_prompt_says_so(model):
    from demo_model.evaluation.driven import measure_video

    found = dict(measure_video(model, 1).lines)
    assert float(found["motion said: correlation of centres"]) > 0.95
    assert found["motion said: object colour right"] == "100% of 1 clips"


def test_the_whole_model_is_small():
    sizes = [path.stat().st_size for path in embedded.FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) <= 32 * 10**6


@pytest.mark.slow
def test_a_seed_repeats_bit_for_bit(model):
    first, second = (model.generate("a red circle", seed=5, steps=2) for _ in range(2))
    assert [frame.tobytes() for frame in first.frames()] == [frame.tobytes() for frame in second.frames()]


@pytest.mark.slow
def test_a_travelling_prompt_turns_the_colour(model):
    clip = model.generate(
        "0: a red circle on a white background\n8: a blue circle on a white background", seed=1, steps=10
    )
    from demo_model.evaluation.judge import judge_frame

    colors = [judge_frame(frame).object_color for frame in clip.frames()]
    assert colors[0] == "red"
    assert colors[-1] == "blue"


@pytest.mark.slow
def test_an_mp4_decodes_to_the_frames_that_went_in(model, tmp_path):
    clip = model.generate("a red circle moving right on a blue background", seed=1, steps=4, format=["MP4"])
    frames = [np.asarray(frame, dtype=float) for frame in clip.frames()]
    (file,) = clip.save(tmp_path)
    decoded = [np.asarray(frame, dtype=float) for frame in read_frames(file.path)]
    assert len(decoded) == len(frames)
    errors = [((left - right) ** 2).mean() for left, right in zip(frames, decoded, strict=True)]
    assert 10 * np.log10(255**2 / np.mean(errors)) > 28
