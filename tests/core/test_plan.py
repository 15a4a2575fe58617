"""The plan: numbers of frames, limits of the module, tracks, order of play, cost."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from animatediff_webui.core.errors import ParameterError, PromptTravelError
from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import Plan, build_plan, format_plan
from animatediff_webui.core.sources import SourceInfo


@dataclass(frozen=True)
class Limits:
    context_length: int = 16
    max_context_length: int = 32


V3, HOTSHOT = Limits(), Limits(8, 24)


def clip_source(num_frames: int | None = 30, fps: Any = None, **rest: Any) -> SourceInfo:
    return SourceInfo("the source", num_frames, None if fps is None else Fraction(fps), **rest)


def plan(values: dict[str, Any] | None = None, module: Limits | None = V3, **rest: Any) -> Plan:
    return build_plan(parse_parameters(values), module=module, **rest)


@pytest.mark.parametrize(
    ("values", "module", "source_frames", "video_frames", "num_frames"),
    [
        ({}, V3, None, 16, 16),
        ({}, HOTSHOT, None, 8, 8),
        ({}, None, None, 16, 16),
        ({"batch_size": 24}, V3, None, 24, 24),
        ({"video_length": 40}, V3, None, 40, 40),
        ({"video_length": 5}, V3, None, 5, 16),
        ({"video_length": 5, "closed_loop": "Seamless"}, V3, None, 5, 5),
        ({}, V3, 30, 30, 30),
        ({"video_length": 20}, V3, 30, 20, 20),
        ({"video_length": 40}, V3, 30, 30, 30),
        ({"video_length": 5}, V3, 30, 5, 16),
        ({}, V3, 10, 10, 10),
        ({"video_length": 5}, V3, 10, 5, 10),
        ({"video_length": 1}, V3, None, 1, 16),
    ],
)
def test_plan_number_of_frames(
    values: dict[str, Any], module: Limits, source_frames: int | None, video_frames: int, num_frames: int
):
    sources = () if source_frames is None else (clip_source(source_frames),)
    made = plan(values, module, sources=sources)
    assert (made.video_frames, made.num_frames) == (video_frames, num_frames)
    assert made.extra_frames == tuple(range(video_frames, num_frames))
    assert {frame for window in made.windows(0) for frame in window.frames} == set(range(num_frames))


def test_plan_says_when_more_frames_are_generated_than_shown():
    assert any("16 are generated" in note for note in plan({"video_length": 5}).notes)
    assert plan({"video_length": 16}).notes == ()


def test_plan_says_when_the_source_is_shorter_than_asked():
    made = plan({"video_length": 40}, sources=[clip_source(30)])
    assert any("there are 30 in the source" in note for note in made.notes)


def test_plan_source_without_frames_is_refused():
    with pytest.raises(ParameterError, match="no frames"):
        plan(sources=[clip_source(0)])


def test_plan_takes_the_shortest_source_and_says_so():
    sources = [clip_source(30), SourceInfo("the masks", 10), SourceInfo("a picture", None)]
    made = plan(sources=sources)
    assert made.video_frames == 10
    (note,) = made.notes
    assert note == "There are 30 frames in the source, but 10 in the masks: the first 10 are used."
    assert plan({"video_length": 10}, sources=sources).notes == ()


@pytest.mark.parametrize(
    ("values", "fps", "is_kept", "is_told"),
    [
        ({}, 25, True, False),
        ({"fps": 25}, 25, True, False),
        ({"fps": 29.97}, Fraction(30000, 1001), True, False),
        ({"fps": 12}, 25, False, True),
        ({"reverse": [0]}, 25, False, True),
        ({"audio": False}, 25, False, False),
        ({"format": "GIF"}, 25, False, False),
    ],
)
def test_plan_keeps_sound_where_it_stays_with_the_pictures(
    values: dict[str, Any], fps: Any, is_kept: bool, is_told: bool
):
    made = plan({"format": "MP4", **values}, sources=[clip_source(30, fps, has_sound=True)])
    assert made.keeps_sound == is_kept
    assert any("sound is left out" in note for note in made.notes) == is_told
    assert not plan({"format": "MP4", **values}, sources=[clip_source(30, fps)]).keeps_sound


def test_plan_with_frames_in_between_keeps_length_and_sound_of_the_source():
    asked = {"format": "MP4", "interp": "Motion-compensated", "interp_x": 4}
    made = plan(asked, sources=[clip_source(30, 25, has_sound=True)])
    assert (made.fps, made.num_shown, made.duration, made.keeps_sound) == (100, 120, 1.2, True)
    assert plan(asked).fps == 8
    assert plan(asked, prompt="0: a\n1s: b").prompt_track.keyframes[1].frame == 2
    assert plan({**asked, "motion_effect": "0: 1 hold, 1s: 0"}).motion.effect.values[:3] == (1, 1, 0)


@pytest.mark.parametrize(
    ("values", "comes_round"),
    [
        ({}, False),
        ({"closed_loop": "A"}, True),
        ({"closed_loop": "A", "video_length": 40}, True),
        ({"closed_loop": "Seamless"}, True),
        ({"video_length": 40}, False),
        ({"reverse": [0, 1, 2]}, True),
    ],
)
def test_plan_knows_whether_the_last_frame_leads_on_to_the_first(values: dict[str, Any], comes_round: bool):
    assert plan(values).comes_round == comes_round


def test_plan_context_above_the_modules_limit_is_refused():
    with pytest.raises(ParameterError, match="batch_size is 33, but must be from 1 to 32"):
        plan({"batch_size": 33})


def test_plan_overlap_above_the_modules_own_context_is_refused():
    with pytest.raises(ParameterError, match="overlap is 10, but must be from -1 to 7"):
        plan({"overlap": 10}, HOTSHOT)


@pytest.mark.parametrize(
    ("values", "overlap"), [({}, 4), ({"batch_size": 7}, 1), ({"overlap": 0}, 0), ({"overlap": 15}, 15)]
)
def test_plan_overlap_is_a_quarter_unless_given(values: dict[str, Any], overlap: int):
    assert plan({"video_length": 64, **values}).layout.overlap == overlap


@pytest.mark.parametrize(
    ("values", "source_fps", "fps"),
    [
        ({}, None, 8),
        ({"fps": 12}, None, 12),
        ({}, Fraction(30000, 1001), Fraction(30000, 1001)),
        ({"fps": 12}, 25, 12),
    ],
)
def test_plan_fps_is_the_users_then_the_sources_then_eight(values: dict[str, Any], source_fps: Any, fps: Any):
    assert plan(values, sources=[clip_source(30, source_fps)]).fps == fps


@pytest.mark.parametrize(
    ("values", "played"),
    [
        ({"video_length": 4, "batch_size": 4, "closed_loop": "A"}, (0, 1, 2, 3, 2, 1)),
        ({"video_length": 3, "batch_size": 4, "closed_loop": "A"}, (0, 1, 2, 1)),
        ({"video_length": 5, "batch_size": 4, "closed_loop": "A"}, (0, 1, 2, 3, 4)),
        ({"video_length": 4, "batch_size": 4, "closed_loop": "R+P"}, (0, 1, 2, 3)),
        ({"video_length": 4, "batch_size": 4, "closed_loop": "Seamless"}, (0, 1, 2, 3)),
        ({"video_length": 4, "batch_size": 4, "reverse": [0]}, (0, 1, 2, 3, 3, 2, 1, 0)),
        ({"video_length": 2, "batch_size": 4}, (0, 1)),
    ],
)
def test_plan_played_frames(values: dict[str, Any], played: tuple[int, ...]):
    assert plan(values).played_frames == played


@pytest.mark.parametrize(
    ("loop", "video_length", "looped"),
    [
        ("N", 32, False),
        ("R-P", 32, False),
        ("R+P", 32, True),
        ("A", 32, True),
        ("Seamless", 32, True),
        ("R+P", 16, False),
        ("A", 16, False),
        ("Seamless", 16, True),
    ],
)
def test_plan_prompt_loops_where_the_mode_says(loop: str, video_length: int, looped: bool):
    made = plan({"video_length": video_length, "closed_loop": loop}, prompt="0: a\n8: b")
    assert (made.prompt_track.blends[-1].position > 0) == looped


def test_plan_negative_prompt_travels_on_its_own():
    made = plan(prompt="a cat", negative_prompt="0: blurry\n8: dark")
    assert not made.prompt_track.is_travelling
    assert made.negative_prompt_track.prompts == ("blurry", "dark")


def test_plan_keyframes_count_by_the_video_and_hold_in_the_extra_frames():
    made = plan({"video_length": 5}, prompt="0%: a\n100%: b")
    assert [keyframe.frame for keyframe in made.prompt_track.keyframes] == [0, 4]
    assert made.prompt_track.num_frames == 16
    with pytest.raises(PromptTravelError, match="past the last frame"):
        plan({"video_length": 5}, prompt="0: a\n5: b")


def test_plan_seconds_count_by_the_plans_fps():
    made = plan({"fps": 4, "video_length": 16}, prompt="0s: a\n2s: b")
    assert [keyframe.frame for keyframe in made.prompt_track.keyframes] == [0, 8]


def test_plan_cost_counts_window_calls_over_all_steps():
    made = plan({"video_length": 40, "context_scheduler": "standard static"})
    assert (made.cost(20).window_calls, made.cost(20).frame_calls) == (60, 960)


def test_plan_cost_counts_freeinit_passes():
    one = plan().cost(12)
    assert plan({"freeinit_enable": True}).cost(12).window_calls == 3 * one.window_calls
    assert plan({"freeinit_enable": True, "freeinit_fast": True}).steps_per_iteration(12) == (4, 8, 12)
    assert plan({"freeinit_enable": True, "freeinit_fast": True}).cost(12).window_calls == 24


def test_plan_windows_have_the_length_that_their_step_is_given():
    schedule = {"context_schedule": "0: 16 hold, 50%: 8", "context_scheduler": "standard static"}
    made = plan({"video_length": 16, **schedule}, num_steps=9)
    lengths = [{window.length for window in made.windows(step, step / 9)} for step in range(9)]
    assert lengths == [{16}] * 4 + [{8}] * 5
    assert [window.frames[0] for window in made.windows(8, 8 / 9)] == [0, 6, 8]
    assert made.is_windowed
    assert made.context_length == 16
    assert made.cost(9).window_calls == 4 + 5 * 3
    assert "Context batch size over steps  0: 16 hold, 50%: 8" in format_plan(made, 9)
    assert not plan({"context_schedule": "0: 16"}).is_windowed


def test_plan_windows_of_fast_freeinit_follow_their_own_steps():
    fast = {"freeinit_enable": True, "freeinit_fast": True, "freeinit_iters": 2}
    made = plan(
        {**fast, "video_length": 8, "context_schedule": "0: 8 hold, 50%: 4", "context_scheduler": "batched"},
        num_steps=8,
    )
    assert made.steps_per_iteration(8) == (4, 8)
    assert made.cost(8).window_calls == (2 + 2 * 2) + (4 + 4 * 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"context_schedule": "0: 16, 20: 8"}, r"20 is past the last step \(19\): use 0 to 19"),
        ({"context_schedule": "0: 16, 2s: 8"}, "2s is a time, but steps have none"),
        ({"context_schedule": "0: 16, 50%: 40"}, "context_schedule is 40, but must be from 1 to 32"),
        ({"context_schedule": "0: 16, 9: 4", "overlap": 4}, "less than the context batch size \\(4\\)"),
        ({"context_schedule": "0: 0"}, "context_schedule is 0.*, but must be"),
        ({"context_schedule": "0: nan"}, "is no entry"),
    ],
)
def test_plan_refuses_a_context_schedule_that_cannot_be(arguments: dict[str, Any], words: str):
    with pytest.raises(ParameterError, match=words):
        plan(arguments)


def test_plan_fast_freeinit_takes_at_least_one_step():
    assert (
        plan({"freeinit_enable": True, "freeinit_fast": True, "freeinit_iters": 10}).steps_per_iteration(3)[0]
        == 1
    )


def test_plan_noise_is_each_frames_own_unless_freenoise_has_several_windows():
    assert plan({"video_length": 64, "freenoise": False}).noise_order(1) == tuple(range(64))
    assert plan({"video_length": 16}).noise_order(1) == tuple(range(16))
    order = plan({"video_length": 64}).noise_order(1)
    assert order[:16] == tuple(range(16))
    assert all(sorted(order[start : start + 16]) == list(range(16)) for start in range(0, 49, 12))


@pytest.mark.parametrize("module", ["parameters", "plan", "infotext", "prompt_travel"])
def test_plan_and_parameters_import_without_torch(module: str):
    code = f"import sys, animatediff_webui.core.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_plan_prints_what_will_happen():
    made = plan(
        {"video_length": 40, "format": "mp4"}, prompt="0: a\n20: b <lora:pan:0.5>", negative_prompt="bad"
    )
    text = format_plan(made, num_steps=10)
    assert str(made).splitlines()[0] == "Frames     40 generated, 40 played"
    for part in (
        "8 fps, 5 s",
        "MP4",
        "16 frames, overlap 4",
        "30 window calls",
        "Prompt 20  b <lora:pan:0.5>",
        "bad",
    ):
        assert part in text
    assert "################........................  from frame 0" in text


def test_plan_print_draws_long_clips_in_one_line():
    assert max(map(len, str(plan({"video_length": 1000})).splitlines())) < 110
