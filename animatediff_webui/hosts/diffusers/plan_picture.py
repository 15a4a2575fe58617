"""`plan`: what will happen, as a table and as a picture, before anything is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from animatediff_webui.core.plan import Plan, format_plan
from animatediff_webui.core.prompt_travel import PromptTrack
from animatediff_webui.core.windows import Window
from animatediff_webui.hosts.diffusers.guides.settings import Network
from animatediff_webui.hosts.diffusers.timings import Estimate
from animatediff_webui.media.temporary import written_picture

DRAWN_STEPS = 4
WIDTH, MARGIN, LABEL, ROW, GAP = 960, 16, 72, 12, 10
PAPER, INK, FAINT = "#ffffff", "#222222", "#e4e4e4"
COLORS = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75))


def describe_plan(
    plan: Plan, num_steps: int, estimate: Estimate | None, networks: Sequence[Network] = ()
) -> str:
    """The plan as a table, with the networks that steer the clip, and with what it will take if runs like it
    were measured."""
    table = format_plan(plan, num_steps, networks=[(each.title, each.summary) for each in networks])
    if estimate is None:
        return f"{table}\nEstimate  none yet: it comes from earlier runs of this model and size"
    memory = f", at most {estimate.peak_memory / 2**30:.1f} GiB of memory" if estimate.peak_memory else ""
    runs = "the last run" if estimate.num_runs == 1 else f"the last {estimate.num_runs} runs"
    return f"{table}\nEstimate  {estimate.seconds:.0f} s of sampling{memory}, by {runs}"


def draw_plan(plan: Plan, num_steps: int) -> Image.Image:
    """Windows over frames in the first steps, strongest where a window weighs most, and the prompts below."""
    steps = range(min(DRAWN_STEPS, num_steps))
    tracks = [(name, track) for name, track in _tracks(plan) if track.is_travelling]
    windows = [plan.windows(step, step / num_steps) for step in steps]
    rows = sum(map(len, windows))
    height = 2 * MARGIN + rows * (ROW + 2) + len(steps) * GAP + len(tracks) * (3 * ROW + GAP) + 2 * ROW
    image = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(image)
    top = MARGIN
    for step in steps:
        draw.text((MARGIN, top), f"Step {step}", fill=INK)
        for index, window in enumerate(windows[step]):
            _draw_window(draw, plan.num_frames, window, top, COLORS[index % len(COLORS)])
            top += ROW + 2
        top += GAP
    for name, track in tracks:
        _draw_track(draw, name, track, top)
        top += 3 * ROW + GAP
    _draw_scale(draw, plan.num_frames, top)
    return image


def write_plan(
    plan: Plan, num_steps: int, estimate: Estimate | None, folder: Path, networks: Sequence[Network] = ()
) -> Path:
    """Print the table and write the picture; its path. Raises MediaError where it cannot be written."""
    print(describe_plan(plan, num_steps, estimate, networks))
    path = written_picture(draw_plan(plan, num_steps), folder / "plan.png")
    print(path)
    return path


def _tracks(plan: Plan) -> tuple[tuple[str, PromptTrack], ...]:
    return ("Prompt", plan.prompt_track), ("Negative", plan.negative_prompt_track)


def _left(frame: int, num_frames: int) -> float:
    return MARGIN + LABEL + frame * (WIDTH - 2 * MARGIN - LABEL) / num_frames


def _draw_window(
    draw: ImageDraw.ImageDraw, num_frames: int, window: Window, top: int, color: tuple[int, int, int]
) -> None:
    draw.rectangle((_left(0, num_frames), top, _left(num_frames, num_frames), top + ROW), fill=FAINT)
    for frame, weight in zip(window.frames, window.weights, strict=True):
        shade = _mixed((228, 228, 228), color, 0.25 + 0.75 * weight)
        draw.rectangle((_left(frame, num_frames), top, _left(frame + 1, num_frames), top + ROW), fill=shade)


def _draw_track(draw: ImageDraw.ImageDraw, name: str, track: PromptTrack, top: int) -> None:
    """A band that turns from one prompt's colour into the next's, and the keyframes' texts under it."""
    draw.text((MARGIN, top), name, fill=INK)
    num_frames = track.num_frames
    for frame, blend in enumerate(track.blends):
        left, right = (COLORS[index % len(COLORS)] for index in (blend.left, blend.right))
        box = (_left(frame, num_frames), top, _left(frame + 1, num_frames), top + ROW)
        draw.rectangle(box, fill=_mixed(left, right, blend.position))
    for index, keyframe in enumerate(track.keyframes):
        text = f"{keyframe.frame}: {track.prompts[keyframe.prompt]}"
        color = COLORS[keyframe.prompt % len(COLORS)]
        draw.text((_left(keyframe.frame, num_frames), top + ROW + index % 2 * ROW), text[:40], fill=color)


def _draw_scale(draw: ImageDraw.ImageDraw, num_frames: int, top: int) -> None:
    every = max(1, num_frames // 16)
    for frame in range(0, num_frames, every):
        draw.text((_left(frame, num_frames), top), str(frame), fill=INK)


def _mixed(first: tuple[int, int, int], second: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
