"""What each suite of the evaluation draws, and the figures it prints.

A suite takes the animator and how many seeds to use, and gives (measure, value) lines and rows for contact
sheets.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from animatediff_webui.hosts.diffusers.animator import Animator
from animatediff_webui.hosts.diffusers.clip import Clip
from demo_model import files
from demo_model.world import OBJECT_COLORS

from .findings import Findings, Suite
from .judge import judge_clip, judge_frame
from .prompts import Question, build_questions
from .steps import build_last_window_plan, is_border, step_sizes

LONG = 64
PALE = 0.12


def measure_windows(animator: Animator, count: int) -> Findings:
    """Steps across window borders against steps inside windows, blended and with the last window winning."""
    found = Findings()
    unblended = Animator(
        animator.options, image_defaults=files.IMAGE_DEFAULTS, build_plan=build_last_window_plan
    )
    kinds = [
        ("blended", animator, True),
        ("last window wins", unblended, True),
        ("blended, no FreeNoise", animator, False),
        ("last window wins, no FreeNoise", unblended, False),
    ]
    for name, kind, freenoise in kinds:
        borders, inside = [], []
        for question in _questions(count, "still"):
            clip = kind.generate(
                question.prompt, seed=question.seed, video_length=LONG, context_scheduler="standard static",
                closed_loop="N", freenoise=freenoise,
            )  # fmt: skip
            frames, across = list(clip.frames()), is_border(clip.plan.windows(0), LONG)
            sizes = step_sizes(frames)
            borders.extend(sizes[across])
            inside.extend(sizes[~across])
            found.rows.append((f"{name}: {question.prompt}", frames))
        found.lines += [
            (f"{name}: border / inside", f"{np.mean(borders) / np.mean(inside):.2f}"),
            (f"{name}: steps, grey levels", f"{np.mean(borders):.2f} / {np.mean(inside):.2f}"),
            (f"{name}: largest border", f"{np.max(borders):.1f}"),
        ]
    return found


def measure_loops(animator: Animator, count: int) -> Findings:
    """The seam's step against the mean step, in seamless loops of one window and of several."""
    found = Findings()
    for num_frames in (16, 32):
        seams, means = [], []
        for question in build_questions(count):
            clip = animator.generate(
                question.prompt, seed=question.seed, video_length=num_frames, closed_loop="Seamless"
            )
            frames = list(clip.frames())
            sizes = step_sizes(frames, around=True)
            seams.append(sizes[-1])
            means.append(sizes[:-1].mean())
            found.rows.append((f"{num_frames} frames: {question.prompt}", frames))
        within = np.mean(np.array(seams) <= np.array(means))
        found.lines += [
            (f"{num_frames} frames: seam / mean step", f"{np.mean(seams) / np.mean(means):.2f}"),
            (f"{num_frames} frames: seam <= mean step", f"{within:.0%} of {count} clips"),
        ]
    return found


def measure_freeinit(animator: Animator, count: int) -> Findings:
    """Consistency with FreeInit and without."""
    found = Findings()
    for name, is_on in (("plain", False), ("FreeInit", True)):
        steps, flicker, jerk, coherent = [], [], [], []
        for question in build_questions(count):
            frames = list(_with_freeinit(animator, question, is_on).frames())
            steps.append(step_sizes(frames).mean())
            seen = judge_clip(frames)
            flicker.append(seen.flicker)
            jerk.append(seen.jerk)
            coherent.append(seen.coherent)
            found.rows.append((f"{name}: {question.prompt}", frames))
        found.lines += [
            (f"{name}: mean step", f"{np.mean(steps):.2f} grey levels"),
            (f"{name}: area flicker", f"{np.mean(flicker):.1%}"),
            (f"{name}: jerk", f"{np.mean(jerk):.1%} of the width"),
            (f"{name}: coherent", f"{np.mean(coherent):.0%}"),
        ]
    return found


def _with_freeinit(animator: Animator, question: Question, is_on: bool) -> Clip:
    return animator.generate(question.prompt, seed=question.seed, freeinit_enable=is_on)


def measure_travel(animator: Animator, count: int) -> Findings:
    """Prompts that travel: colours turn one way, objects turn round, negative prompts turn away."""
    found = Findings()
    _travelling_colors(animator, count, found)
    _turning_round(animator, count, found)
    _travelling_negative(animator, count, found)
    return found


def _travelling_colors(animator: Animator, count: int, found: Findings) -> None:
    ends, monotone = [], []
    for seed in range(count):
        first, second = np.random.default_rng(seed).choice(list(OBJECT_COLORS)[:5], 2, replace=False)
        prompt = f"0: a {first} circle on a white background\n8: a {second} circle on a white background"
        clip = animator.generate(prompt, seed=seed, negative_prompt="")
        frames = list(clip.frames())
        seen = list(map(judge_frame, frames))
        names = [each.object_color for each in seen]
        ends.append(names[:2] == [first] * 2 and names[8:] == [second] * 8)
        way = [_way(each.object_rgb, str(first), str(second)) for each in seen]
        monotone.append(bool(np.all(np.diff(way[:9]) > -0.1)))
        found.rows.append((prompt.replace("\n", " | "), frames))
    found.lines += [
        ("colour at frames 0-1 and from 8 on", f"{np.mean(ends):.0%} of {count} clips"),
        ("colour monotone between", f"{np.mean(monotone):.0%} of {count} clips"),
    ]


def _turning_round(animator: Animator, count: int, found: Findings) -> None:
    prompt = (
        "0: a red circle moving right on a blue background\n16: a red circle moving left on a blue background"
    )
    for easing in ("hold", "linear"):
        turned, out, back = [], [], []
        for seed in range(count):
            clip = animator.generate(
                prompt, seed=seed, video_length=32, context_scheduler="standard static", closed_loop="N",
                prompt_easing=easing,
            )  # fmt: skip
            frames = list(clip.frames())
            first, second = judge_clip(frames[:16]), judge_clip(frames[16:])
            turned.append((first.direction, second.direction) == ("right", "left"))
            out.append(first.displacement)
            back.append(second.displacement)
            found.rows.append((f"{easing}: " + prompt.replace("\n", " | "), frames))
        found.lines += [
            (f"{easing}: turns round", f"{np.mean(turned):.0%} of {count} clips"),
            (f"{easing}: way out / back", f"{np.mean(out):.0%} / {np.mean(back):.0%} of the width"),
        ]


def _travelling_negative(animator: Animator, count: int, found: Findings) -> None:
    prompt, negative = "a circle on a white background", "0: red circle\n8: blue circle"
    for name, text in (("no negative prompt", ""), ("red, from frame 8 on blue, unwanted", negative)):
        early, late = [], []
        for seed in range(count):
            frames = list(animator.generate(prompt, negative_prompt=text, seed=seed).frames())
            lacking = [_lacking_color(judge_frame(frame).object_rgb) for frame in frames]
            early += lacking[:2]
            late += lacking[8:]
            found.rows.append((f"{name}: {prompt}", frames))
        share = (
            f"{early.count('red') / len(early):.0%} lack red early, "
            f"{late.count('blue') / len(late):.0%} lack blue late"
        )
        found.lines.append((name, share))


def _lacking_color(rgb: np.ndarray | None) -> str | None:
    """The primary colour that a colour, in 0..1, has least of; None where it is hardly one."""
    return None if rgb is None or np.ptp(rgb) < PALE else ("red", "green", "blue")[int(rgb.argmin())]


def _questions(count: int, motion: str) -> Iterable[Question]:
    chosen = [question for question in build_questions(5 * count) if question.scene.motion == motion]
    return chosen[:count]


def _way(rgb: np.ndarray | None, first: str, second: str) -> float:
    """How far a colour, in 0..1, has come from the first colour (0) to the second (1); nan for none."""
    if rgb is None:
        return float("nan")
    start, end = np.array(OBJECT_COLORS[first]) / 255, np.array(OBJECT_COLORS[second]) / 255
    way = end - start
    return float((rgb - start) @ way / (way**2).sum())


SUITES: dict[str, Suite] = {
    "windows": measure_windows,
    "loops": measure_loops,
    "freeinit": measure_freeinit,
    "travel": measure_travel,
}
