"""Clips that pictures drive: a video whose objects are to be coloured anew."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from animatediff_webui.hosts.diffusers.animator import Animator
from demo_model.world import OBJECT_COLORS, draw_objects

from .findings import Findings, Suite
from .judge import judge_clip, judge_frame
from .outlines import path_correlation
from .tracks import TrackQuestion, build_track_questions

STRENGTH = 0.6
ALIKE = 0.95


def to_images(pictures: torch.Tensor) -> list[Image.Image]:
    """Pictures (n, 3, h, w) in 0..1 as images."""
    pixels = (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(each) for each in pixels]


@contextmanager
def as_folder(frames: Sequence[Image.Image]) -> Iterator[str]:
    """Inside, the frames are the pictures of a folder, in order."""
    with tempfile.TemporaryDirectory() as folder:
        for index, frame in enumerate(frames):
            frame.save(Path(folder) / f"{index:05}.png")
        yield folder


def measure_video(animator: Animator, count: int) -> Findings:
    """Videos of moving objects, drawn anew in the prompt's colour: do they go where they went?"""
    found = Findings()
    correlations: list[float] = []
    colors: list[bool] = []
    for question in _moving_questions(count):
        source = to_images(_draw_in_another_color(question))
        with as_folder(source) as folder:
            clip = animator.generate(
                question.prompt, seed=question.seed, video_path=folder, denoising_strength=STRENGTH
            )
        frames = list(clip.frames())
        correlations.append(path_correlation(_find_centers(frames), question.track.centers.numpy()))
        colors.append(judge_clip(frames).object_color == question.scene.color)
        found.rows += [("source", source), (f"{question.prompt} ({correlations[-1]:.3f})", frames)]
    found.lines += [
        ("correlation of centres", f"{np.mean(correlations):.3f}"),
        (f"correlation at least {ALIKE}", f"{np.mean(np.array(correlations) >= ALIKE):.0%} of {count} clips"),
        ("object colour right", f"{np.mean(colors):.0%} of {count} clips"),
    ]
    return found


def _moving_questions(count: int) -> list[TrackQuestion]:
    """Questions whose object changes its place."""
    moving = [each for each in build_track_questions(2 * count) if each.track.centers.std(0).max() > 1]
    return moving[:count]


def _draw_in_another_color(question: TrackQuestion) -> torch.Tensor:
    """The question's clip with an object in the colour that follows its own, and the background's not."""
    scene, colors = question.scene, list(OBJECT_COLORS)
    others = [name for name in colors if name not in (scene.color, scene.background)]
    shown = others[colors.index(scene.color) % len(others)]
    return draw_objects(replace(scene, color=shown), question.track.centers, question.track.radii)


def _find_centers(frames: Sequence[Image.Image]) -> np.ndarray:
    """The object's centre (n, 2) in each frame; the picture's middle where there is none."""
    middle = frames[0].width / 2, frames[0].height / 2
    return np.array([judge_frame(frame).center or middle for frame in frames])


SUITES: dict[str, Suite] = {"video": measure_video}
