"""Motion under control: what scale, effect, masks, several modules and a reference do to a clip.

Lengths are shares of the width, colours distances in grey levels of RGB.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from animatediff_webui.hosts.diffusers.animator import Animator
from demo_model import files

from .findings import Findings, Suite
from .judge import judge_clip, judge_frame
from .prompts import build_questions
from .steps import step_sizes

LONG = 64
STAR = "a red star on a white background"
RIGHT = "a red circle moving right on a blue background"
DOWN = "a red circle moving down on a blue background"
SCALES = (0.6, 1.0, 1.4)
SHARES = (0.0, 0.5, 0.7, 1.0)
STANDING = 0.02


def measure_scale(animator: Animator, count: int) -> Findings:
    """How far what moves gets by the motion scale, and how steadily."""
    found = Findings()
    moving = [each for each in build_questions(2 * count) if each.scene.motion != "still"][:count]
    ways: list[list[float]] = []
    for scale in SCALES:
        clips: list[list[Image.Image]] = []
        for question in moving:
            clip = animator.generate(question.prompt, seed=question.seed, motion_scale=scale)
            clips.append(list(clip.frames()))
            found.rows.append((f"scale {scale:g}: {question.prompt}", clips[-1]))
        seen = list(map(judge_clip, clips))
        ways.append([each.displacement for each in seen])
        found.lines += [
            (f"scale {scale:g}: way", f"{np.mean(ways[-1]):.1%} of the width"),
            (f"scale {scale:g}: jerk", f"{np.mean([each.jerk for each in seen]):.2%} of the width"),
            (f"scale {scale:g}: area flicker", f"{np.mean([each.flicker for each in seen]):.1%}"),
            (f"scale {scale:g}: outlines' overlap", f"{np.mean([each.likeness for each in seen]):.3f}"),
        ]
    for (low, high), (first, second) in zip(pairwise(SCALES), pairwise(ways), strict=True):
        farther = np.mean(np.array(second) > np.array(first))
        found.lines.append((f"farther at {high:g} than at {low:g}", f"{farther:.0%} of {len(moving)} clips"))
    return found


def measure_stop(animator: Animator, count: int) -> Findings:
    """An effect that ends at half time, where the second window begins: does what moved stand then?"""
    found = Findings()
    for name, weight in (("noise of its own", "0: 0"), ("frozen noise", "0: 0 hold, 50%: 1")):
        ways: list[float] = []
        drifts: list[float] = []
        for seed in range(count):
            clip = animator.generate(
                RIGHT, seed=seed, video_length=32, context_scheduler="batched", closed_loop="N",
                freenoise=False,
                motion_effect="0: 1 hold, 50%: 0", noise_type="constant", noise_weight=weight,
            )  # fmt: skip
            frames = list(clip.frames())
            first, second = judge_clip(frames[:16]), judge_clip(frames[16:])
            ways.append(first.displacement if first.direction == "right" else 0.0)
            drifts.append(second.drift)
            found.rows.append((f"{name}: {RIGHT}", frames))
        stands = np.mean(np.array(drifts) < STANDING)
        found.lines += [
            (f"{name}: way before half time", f"{np.mean(ways):.1%} of the width"),
            (f"{name}: drift after it", f"{np.mean(drifts):.1%} of the width"),
            (f"{name}: stands after it", f"{stands:.0%} of {count} clips"),
        ]
    return found


def measure_mask(animator: Animator, count: int) -> Findings:
    """An effect on one half of the picture alone: how much changes there, and how much in the other?"""
    found = Findings()
    left, right = draw_halves()
    chosen = {"everywhere": 1, "on the left half": {"mask": left}, "on the right half": {"mask": right}}
    for name, effect in chosen.items():
        halves: list[list[float]] = [[], []]
        for seed in range(count):
            frames = list(animator.generate(DOWN, seed=seed, motion_effect=effect).frames())
            for steps, pieces in zip(halves, zip(*map(_halves, frames), strict=True), strict=True):
                steps.append(float(step_sizes(pieces).mean()))
            found.rows.append((f"{name}: {DOWN}", frames))
        for half, steps in zip(("left", "right"), halves, strict=True):
            found.lines.append((f"{name}: step of the {half} half", f"{np.mean(steps):.2f} grey levels"))
    return found


def draw_halves() -> tuple[Image.Image, Image.Image]:
    """Masks that are white on the left half, and on the right one."""
    halves = (Image.new("L", (2, 1)), Image.new("L", (2, 1)))
    for side, mask in enumerate(halves):
        mask.putpixel((side, 0), 255)
    return halves


def _halves(frame: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Left and right of a frame, without the strip between them that the coarsest layers share."""
    width, height = frame.size
    return frame.crop((0, 0, width * 3 // 8, height)), frame.crop((width * 5 // 8, 0, width, height))


def measure_modules(animator: Animator, count: int) -> Findings:
    """Two modules mixed by effect, one that moves down and one that drifts right: which way does it go?

    The second one is the embedded one again, with its motion LoRA.
    """
    found = Findings()
    with second_module(animator) as (both, name):
        for share in SHARES:
            ways: list[np.ndarray] = []
            for seed in range(count):
                second = {"model": name, "effect": share, "loras": ["drift_right:1"]}
                image = animator.image_settings(seed=seed)
                clip = both.generate(DOWN, image=image, motion_effect=1 - share, modules=[second])
                frames = list(clip.frames())
                ways.append(_way(frames))
                found.rows.append((f"{1 - share:g} of the first, {share:g} of the second: {DOWN}", frames))
            right, down = np.mean(ways, axis=0)
            diagonal = np.mean([min(way) > 0.1 for way in ways])
            found.lines += [
                (f"{share:g} of the second: way right, down", f"{right:.1%}, {down:.1%} of the width"),
                (f"{share:g} of the second: goes both ways", f"{diagonal:.0%} of {count} clips"),
            ]
    return found


@contextmanager
def second_module(animator: Animator) -> Iterator[tuple[Animator, str]]:
    """Inside, an animator like this one, which finds its motion module by a second name, too."""
    file = Path(animator.options.motion_module or files.MOTION_MODULE)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / file.name, Path(folder) / f"second{file.suffix}"
        for copy in (first, second):
            shutil.copy(file, copy)
        options = replace(animator.options, motion_module=first)
        yield Animator(options, lora_folders=animator.lora_folders), second.name


def _way(frames: Sequence[Image.Image]) -> np.ndarray:
    """How far the object goes right and down (2,), as shares of the width."""
    seen = (judge_frame(frame).center for frame in frames)
    centers = np.array([center for center in seen if center is not None])
    return (centers[-2:].mean(0) - centers[:2].mean(0)) / frames[0].width


def measure_reference(animator: Animator, count: int) -> Findings:
    """64 frames of something that stands still, with a reference between windows and without."""
    found = Findings()
    for name, reference in (("FreeNoise alone", 0.0), ("with a reference", 1.0)):
        drifts: list[float] = []
        colors: list[float] = []
        for seed in range(count):
            clip = animator.generate(
                STAR, seed=seed, video_length=LONG, reference=reference,
                context_scheduler="standard static", closed_loop="N",
            )  # fmt: skip
            frames = list(clip.frames())
            drifts.append(judge_clip(frames).drift)
            colors.append(_color_spread(frames))
            found.rows.append((f"{name}: {STAR}", frames))
        found.lines += [
            (f"{name}: drift", f"{np.mean(drifts):.2%} of the width, at most {np.max(drifts):.2%}"),
            (f"{name}: colour's distance from its mean", f"{np.mean(colors):.2f} grey levels"),
        ]
    return found


def _color_spread(frames: Sequence[Image.Image]) -> float:
    """How far the object's colour is from its mean over the frames, on average, in grey levels."""
    seen = (judge_frame(frame).object_rgb for frame in frames)
    colors = np.stack([rgb for rgb in seen if rgb is not None]) * 255
    return float(np.linalg.norm(colors - colors.mean(0), axis=1).mean())


SUITES: dict[str, Suite] = {
    "scale": measure_scale,
    "stop": measure_stop,
    "mask": measure_mask,
    "modules": measure_modules,
    "reference": measure_reference,
}
