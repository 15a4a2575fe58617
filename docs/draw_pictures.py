"""Draws the pictures of docs/animation.md and of the README with the embedded model, the same every time.

From the repository's root: `.venv/bin/python -m docs.draw_pictures`, or with the names of some of them.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from animatediff_webui.hosts.diffusers.plan_picture import draw_plan
from demo_model.evaluation.driven import to_images
from demo_model.evaluation.sheets import draw_sheet
from demo_model.evaluation.steered import DOWN, RIGHT, draw_halves, second_module
from demo_model.evaluation.steered import STAR as STILL
from demo_model.world import SIZE, draw_outlines
from standalone import Animator

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from animatediff_webui.hosts.diffusers.settings import ClipKeywords

IMAGES = Path(__file__).resolve().parent / "images"
TRAVEL = "0: a red circle on a white background\n8: a blue circle on a white background"
TURN = "0: a red circle moving right on a blue background\n16: a red circle moving left on a blue background"
HELLO = (
    "0: a red circle on a white background\n25%: a purple heart on a yellow background\n"
    "50%: a blue star on a white background\n75%: a green square on a yellow background"
)
OUTLINED = "a white triangle on a blue background"
"""What the README has drawn into the outlines of outline.gif."""
STAR, HEART = "a yellow star standing still on a purple background", "a white heart moving right over red"


def draw_windows(animator: Animator) -> Image.Image:
    plans = [
        draw_plan(animator.plan(STAR, video_length=64, closed_loop="N", context_scheduler=name), 3)
        for name in ("uniform", "standard static")
    ]
    picture = Image.new("RGB", (plans[0].width, sum(plan.height for plan in plans)), "white")
    picture.paste(plans[0], (0, 0))
    picture.paste(plans[1], (0, plans[0].height))
    return picture


def draw_loop(animator: Animator) -> Image.Image:
    rows = []
    for mode in ("N", "Seamless"):
        clip = _frames(animator, TRAVEL, seed=4, video_length=16, closed_loop=mode)
        rows.append((f"{mode}: frames 12 to 15, then 0 to 3", [*clip[12:], *clip[:4]]))
    return draw_sheet(rows)


def draw_travel(animator: Animator) -> Image.Image:
    return draw_sheet([("every second frame", _frames(animator, TRAVEL, seed=1, closed_loop="N")[::2])])


def draw_turn(animator: Animator) -> Image.Image:
    clip = _static_frames(animator, TURN, seed=1, video_length=32, prompt_easing="hold")
    return draw_sheet([("every fourth frame", clip[::4])])


def draw_freeinit(animator: Animator) -> Image.Image:
    return draw_sheet(
        [
            ("without FreeInit", _frames(animator, HEART, seed=2)[::2]),
            ("with FreeInit", _frames(animator, HEART, seed=2, freeinit_enable=True)[::2]),
        ]
    )


def draw_freenoise(animator: Animator) -> Image.Image:
    rows = []
    for words, is_on in (("without", False), ("with", True)):
        clip = _static_frames(animator, STAR, seed=5, video_length=64, freenoise=is_on)
        rows.append((f"{words} FreeNoise", clip[::8]))
    return draw_sheet(rows)


def draw_motion(animator: Animator) -> Image.Image:
    half = Image.new("L", (2, 1))
    half.putpixel((0, 0), 255)
    chosen: dict[str, ClipKeywords] = {
        "as it is": {},
        "motion effect 0": {"motion_effect": 0},
        "motion effect 0.5": {"motion_effect": 0.5},
        "motion effect 0: 1 hold, 50%: 0": {"motion_effect": "0: 1 hold, 50%: 0"},
        "motion effect by a mask: 1 on the left, 0 on the right": {"motion_effect": {"mask": half}},
        "motion scale 0": {"motion_scale": 0},
        "motion scale 2": {"motion_scale": 2},
    }
    return draw_sheet(
        [(words, _frames(animator, RIGHT, seed=3, **settings)[::2]) for words, settings in chosen.items()]
    )


def draw_control(animator: Animator) -> Image.Image:
    left, right = draw_halves()
    stop: ClipKeywords = {
        "video_length": 32, "context_scheduler": "batched", "closed_loop": "N", "freenoise": False,
        "motion_effect": "0: 1 hold, 50%: 0", "noise_type": "constant",
    }  # fmt: skip
    rows = [
        ("effect 0 from half time on", _frames(animator, RIGHT, seed=1, **stop, noise_weight=0)[::4]),
        (
            "... and the noise frozen there",
            _frames(animator, RIGHT, seed=1, **stop, noise_weight="0: 0 hold, 50%: 1")[::4],
        ),
    ]
    for side, mask in (("left", left), ("right", right)):
        frames = _frames(animator, DOWN, seed=0, motion_effect={"mask": mask})
        rows.append((f"effect on the {side} half alone", frames[::2]))
    with second_module(animator) as (both, name):
        for share in (0.0, 0.7, 1.0):
            second = {"model": name, "effect": share, "loras": ["drift_right:1"]}
            image = animator.image_settings(seed=1)
            clip = both.generate(DOWN, image=image, motion_effect=1 - share, modules=[second])
            caption = f"{1 - share:.1g} of a module that goes down, {share:g} of one that drifts right"
            rows.append((caption, list(clip.frames())[::2]))
    return _draw_small_sheet(rows)


def draw_reference(animator: Animator) -> Image.Image:
    rows = []
    for words, reference in (("FreeNoise alone", 0), ("with a reference", 1)):
        clip = _static_frames(animator, STILL, seed=7, video_length=64, reference=reference)
        rows.append((words, clip[::8]))
    return _draw_small_sheet(rows)


def _draw_small_sheet(rows: list[tuple[str, list[Image.Image]]]) -> Image.Image:
    """A sheet of frames of 96 pixels in 64 colours, a fifth as large as a file."""
    small = [
        (caption, [frame.resize((96, 96), Image.Resampling.LANCZOS) for frame in frames])
        for caption, frames in rows
    ]
    return draw_sheet(small).quantize(64, dither=Image.Dither.NONE)


PICTURES = {
    "windows": draw_windows,
    "loop": draw_loop,
    "travel": draw_travel,
    "turn": draw_turn,
    "freeinit": draw_freeinit,
    "freenoise": draw_freenoise,
    "motion": draw_motion,
    "control": draw_control,
    "reference": draw_reference,
}


def main(names: list[str]) -> None:
    animator = Animator()
    for name, draw in PICTURES.items():
        if not names or name in names:
            path = IMAGES / f"animation-{name}.png"
            draw(animator).save(path, optimize=True)
            print(path, flush=True)
    if not names or "hello" in names:
        _save_clip("hello.gif", animator, HELLO, seed=7, video_length=48, closed_loop="Seamless")
    if not names or "outline" in names:
        outline = IMAGES / "outline.gif"
        lines = draw_dancing_outlines(16)
        lines[0].save(outline, save_all=True, append_images=lines[1:], duration=120, loop=0)
        _save_clip(
            "outline-clip.gif", animator, OUTLINED, seed=3, controlnet="outline", video_source=str(outline)
        )


def draw_dancing_outlines(num_frames: int) -> list[Image.Image]:
    """A triangle that goes round and breathes, white lines on black."""
    turn = np.arange(num_frames) / num_frames * 2 * math.pi
    centers = SIZE / 2 + 20 * np.stack([np.sin(turn), np.cos(turn)], 1)
    radii = 27 + 4 * np.cos(turn)
    return to_images(
        draw_outlines("triangle", torch.from_numpy(centers).float(), torch.from_numpy(radii).float())
    )


def _save_clip(name: str, animator: Animator, prompt: str, **settings: Unpack[ClipKeywords]) -> None:
    settings.update(format=["GIF"])
    clip = animator.generate(prompt, **settings)
    with tempfile.TemporaryDirectory() as folder:
        (file,) = clip.save(folder)
        shutil.move(file.path, IMAGES / name)
    print(IMAGES / name, flush=True)


def _static_frames(animator: Animator, prompt: str, **settings: Unpack[ClipKeywords]) -> list[Image.Image]:
    """With windows that stay where they are, and do not wrap round the end."""
    settings.update(context_scheduler="standard static", closed_loop="N")
    return _frames(animator, prompt, **settings)


def _frames(animator: Animator, prompt: str, **settings: Unpack[ClipKeywords]) -> list[Image.Image]:
    return list(animator.generate(prompt, **settings).frames())


if __name__ == "__main__":
    main(sys.argv[1:])
