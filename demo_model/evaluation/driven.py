"""Clips that pictures drive: outlines to be followed, a video whose objects are to be coloured anew."""

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
from animatediff_webui.hosts.diffusers.guides.settings import SparseCtrl
from demo_model.world import (
    MOTION_PHRASES,
    NUM_FRAMES,
    OBJECT_COLORS,
    SIZE,
    cover,
    draw_objects,
    draw_outlines,
    draw_path,
)

from .findings import Findings, Suite
from .judge import judge_clip, judge_frame
from .outlines import intersection_over_union, path_correlation
from .prompts import build_questions
from .steps import is_border, step_sizes
from .tracks import EVEN, Track, TrackQuestion, build_track_questions

STRENGTH = 0.6
ALIKE = 0.95
FAIR = 0.6
LONG = 64


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


def measure_control(animator: Animator, count: int) -> Findings:
    """Outlines on ways that were never trained: where is the object drawn, and in which colour?"""
    found = Findings()
    overlaps: list[float] = []
    colors: list[bool] = []
    for question in build_track_questions(count):
        lines = to_images(_draw_lines(question))
        with as_folder(lines) as folder:
            clip = animator.generate(
                question.prompt, seed=question.seed, video_path=folder, controlnet="outline"
            )
        frames = list(clip.frames())
        overlaps.append(_follow(frames, question))
        colors.append(judge_clip(frames).object_color == question.scene.color)
        found.rows += [(question.kind, lines), (f"{question.prompt} ({overlaps[-1]:.2f})", frames)]
    found.lines += [
        ("overlap with the outline", f"{np.mean(overlaps):.2f}"),
        (f"overlap at least {FAIR}", f"{np.mean(np.array(overlaps) >= FAIR):.0%} of {count} clips"),
        ("smallest overlap", f"{np.min(overlaps):.2f}"),
        ("object colour right", f"{np.mean(colors):.0%} of {count} clips"),
    ]
    return found


def measure_controlled_windows(animator: Animator, count: int) -> Findings:
    """Outlines of 64 frames at an even speed: steps across window borders against steps inside windows."""
    found = Findings()
    overlaps: list[float] = []
    borders: list[float] = []
    inside: list[float] = []
    for question in build_track_questions(count, LONG, kinds=(EVEN,)):
        lines = to_images(_draw_lines(question))
        with as_folder(lines) as folder:
            clip = animator.generate(
                question.prompt, seed=question.seed, video_path=folder, controlnet="outline",
                context_scheduler="standard static", closed_loop="N",
            )  # fmt: skip
        frames, across = list(clip.frames()), is_border(clip.plan.windows(0), LONG)
        overlaps.append(_follow(frames, question))
        sizes = step_sizes(frames)
        borders.extend(sizes[across])
        inside.extend(sizes[~across])
        found.rows += [(question.kind, lines), (f"{question.prompt} ({overlaps[-1]:.2f})", frames)]
    found.lines += [
        ("overlap with the outline", f"{np.mean(overlaps):.2f}"),
        ("border / inside", f"{np.mean(borders) / np.mean(inside):.2f}"),
        ("steps, grey levels", f"{np.mean(borders):.2f} / {np.mean(inside):.2f}"),
    ]
    return found


def measure_sparsectrl(animator: Animator, count: int) -> Findings:
    """The first frame's picture, with prompts that say all it shows, and with such as say motion alone."""
    found = Findings()
    for name, is_all_said in (("all is said", True), ("motion alone is said", False)):
        overlaps: list[float] = []
        colors: list[bool] = []
        directions: list[bool] = []
        for question in build_questions(count):
            scene = question.scene
            path = draw_path(scene.motion, np.random.default_rng(question.seed))
            prompt = question.prompt if is_all_said else MOTION_PHRASES[scene.motion][0]
            place = Track(torch.tensor([path.start]).float(), torch.tensor([path.radius]).float())
            start = TrackQuestion(prompt, scene, scene.motion, place, question.seed)
            frames = _continue(animator, start)
            seen = judge_clip(frames[1:])
            overlaps.append(_follow(frames[1:2], start))
            colors.append((seen.object_color, seen.background_color) == (scene.color, scene.shown_background))
            directions.append(seen.direction == scene.motion)
            found.rows.append((f"{start.prompt} ({overlaps[-1]:.2f})", frames))
        found.lines += [
            (f"{name}: first frame's overlap", f"{np.mean(overlaps):.2f}"),
            (f"{name}: colours kept", f"{np.mean(colors):.0%} of {count} clips"),
            (f"{name}: direction right", f"{np.mean(directions):.0%} of {count} clips"),
        ]
    return found


def _continue(animator: Animator, start: TrackQuestion) -> list[Image.Image]:
    """The picture that the question's one frame is, and the clip that goes on from it."""
    drawn = draw_objects(start.scene, start.track.centers, start.track.radii)
    (picture,) = to_images(drawn)
    given = SparseCtrl("rgb", keyframes={0: picture})
    clip = animator.generate(start.prompt, seed=start.seed, sparsectrl=given)
    return [picture, *clip.frames()]


def _draw_lines(question: TrackQuestion) -> torch.Tensor:
    return draw_outlines(question.scene.shape, question.track.centers, question.track.radii)


def _follow(frames: Sequence[Image.Image], question: TrackQuestion) -> float:
    """The mean overlap of what is drawn with what the lines enclose."""
    width, track = frames[0].width, question.track
    scale = width / SIZE
    inside = cover(question.scene.shape, track.centers * scale, track.radii * scale, width)[:, 0] > 0.5
    overlaps = [
        intersection_over_union(judge_frame(frame).mask, mask)
        for frame, mask in zip(frames, inside.numpy(), strict=True)
    ]
    return float(np.mean(overlaps))


def measure_video(animator: Animator, count: int) -> Findings:
    """Videos of moving objects, drawn anew in the prompt's colour: do they go where they went?

    First prompts are the videos' captions but for the colour, then they say nothing of motion.
    """
    found = Findings()
    kinds = {"motion said": _build_told_questions(count), "not said": _build_untold_questions(count)}
    for name, questions in kinds.items():
        correlations: list[float] = []
        colors: list[bool] = []
        for question in questions:
            source = to_images(_draw_in_another_color(question))
            with as_folder(source) as folder:
                clip = animator.generate(
                    question.prompt, seed=question.seed, video_path=folder, denoising_strength=STRENGTH
                )
            frames = list(clip.frames())
            correlations.append(path_correlation(_find_centers(frames), question.track.centers.numpy()))
            colors.append(judge_clip(frames).object_color == question.scene.color)
            found.rows += [("source", source), (f"{question.prompt} ({correlations[-1]:.3f})", frames)]
        alike = np.mean(np.array(correlations) >= ALIKE)
        found.lines += [
            (f"{name}: correlation of centres", f"{np.mean(correlations):.3f}"),
            (f"{name}: correlation at least {ALIKE}", f"{alike:.0%} of {count} clips"),
            (f"{name}: object colour right", f"{np.mean(colors):.0%} of {count} clips"),
        ]
    return found


def _build_told_questions(count: int) -> list[TrackQuestion]:
    """Questions whose object moves as their prompt says."""
    moving = [each for each in build_questions(2 * count) if each.scene.motion != "still"]
    questions: list[TrackQuestion] = []
    for each in moving[:count]:
        path = draw_path(each.scene.motion, np.random.default_rng(each.seed))
        centers = torch.from_numpy(path.centers(np.linspace(0, 1, NUM_FRAMES))).float()
        track = Track(centers, torch.full((NUM_FRAMES,), path.radius))
        questions.append(TrackQuestion(each.prompt, each.scene, each.scene.motion, track, each.seed))
    return questions


def _build_untold_questions(count: int) -> list[TrackQuestion]:
    """Questions whose object changes its place, which their prompt does not say."""
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


SUITES: dict[str, Suite] = {
    "video": measure_video,
    "control": measure_control,
    "control-windows": measure_controlled_windows,
    "sparsectrl": measure_sparsectrl,
}
