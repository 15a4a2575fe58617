"""The plan of one clip: how many frames, which windows, which prompts, what is written. No tensors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from .errors import ParameterError
from .frames import PING_PONG, ordered_frames
from .noise import free_noise_order
from .parameters import Parameters, check_overlap
from .prompt_travel import PromptTrack, parse_prompt_travel
from .windows import ContextLayout, Window, build_windows

DEFAULT_FPS = 8.0
DEFAULT_WINDOW = 16
_DRAWN_FRAMES = 64


class ModuleLimits(Protocol):
    """What a plan has to know of a motion module."""

    @property
    def trained_frames(self) -> int: ...
    @property
    def context_limit(self) -> int: ...


@dataclass(frozen=True)
class PlanCost:
    """What sampling costs: calls of the UNet with one window each, and frames in them (per CFG half)."""

    window_calls: int
    frame_calls: int


@dataclass(frozen=True)
class Plan:
    """All that is decided before generating.

    `num_frames` are generated, the first `video_frames` of them make the video, and `played_frames` says in
    which order; the others are saved as PNGs only. `notes` are sentences for the user.
    """

    parameters: Parameters
    num_frames: int
    video_frames: int
    fps: float | Fraction
    layout: ContextLayout
    prompt_track: PromptTrack
    negative_prompt_track: PromptTrack
    played_frames: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def context_length(self) -> int:
        """Frames in the largest window."""
        return min(self.layout.window_size, self.num_frames)

    @property
    def formats(self) -> tuple[str, ...]:
        """What to write, in the order asked for."""
        return self.parameters.output.formats

    @property
    def extra_frames(self) -> tuple[int, ...]:
        """Generated frames that are not in the video."""
        return tuple(range(self.video_frames, self.num_frames))

    @property
    def duration(self) -> float:
        """Seconds that the video plays once."""
        return len(self.played_frames) / float(self.fps)

    def windows(self, step: int) -> tuple[Window, ...]:
        """The windows of a sampling step, counted from 0."""
        return build_windows(self.layout, step)

    def noise_order(self, seed: int) -> tuple[int, ...]:
        """Whose noise each frame starts from: its own, or with FreeNoise that of a first-window frame."""
        layout = self.layout
        if not self.parameters.freenoise or layout.is_single:
            return tuple(range(self.num_frames))
        hop = layout.window_size - layout.overlap
        return free_noise_order(self.num_frames, layout.window_size, hop, seed)

    def steps_per_iteration(self, num_steps: int) -> tuple[int, ...]:
        """Sampling steps of each pass over the clip: one, or FreeInit's, which grow with fast sampling."""
        freeinit = self.parameters.freeinit
        if not freeinit.enable:
            return (num_steps,)
        count = freeinit.iterations
        return tuple(
            max(1, num_steps * (index + 1) // count) if freeinit.fast else num_steps for index in range(count)
        )

    def cost(self, num_steps: int) -> PlanCost:
        """What `num_steps` sampling steps cost, for samplers that call the UNet once a step."""
        per_step = [[len(window.frames) for window in self.windows(step)] for step in range(num_steps)]
        passes = [lengths for steps in self.steps_per_iteration(num_steps) for lengths in per_step[:steps]]
        return PlanCost(sum(map(len, passes)), sum(map(sum, passes)))

    def __str__(self) -> str:
        return format_plan(self)


def build_plan(
    parameters: Parameters,
    *,
    module: ModuleLimits | None,
    prompt: str = "",
    negative_prompt: str = "",
    source_frames: int | None = None,
    source_fps: float | Fraction | None = None,
) -> Plan:
    """The plan for these parameters, this motion module (None: none) and these prompts.

    `source_frames` is the length of the shortest source video or folder. Raises ParameterError and
    PromptTravelError.
    """
    window_size = _window_size(parameters, module)
    video_frames, num_frames, notes = _frame_counts(parameters, window_size, source_frames)
    layout = _layout(parameters, num_frames, window_size)
    fps = parameters.output.fps or source_fps or DEFAULT_FPS
    closed_loop = parameters.context.closed_loop
    looping = ("Seamless",) if layout.is_single else ("Seamless", "R+P", "A")
    looped, easing = closed_loop in looping, parameters.travel.easing
    tracks = [
        parse_prompt_travel(text, video_frames, fps, looped, easing=easing).extended(num_frames)
        for text in (prompt, negative_prompt)
    ]
    ping_pong = PING_PONG if closed_loop == "A" and layout.is_single else ()
    return Plan(
        parameters=parameters,
        num_frames=num_frames,
        video_frames=video_frames,
        fps=fps,
        layout=layout,
        prompt_track=tracks[0],
        negative_prompt_track=tracks[1],
        played_frames=ordered_frames(video_frames, {*parameters.output.reverse, *ping_pong}),
        notes=notes,
    )


def format_plan(plan: Plan, num_steps: int = 20, drawn_steps: int = 4) -> str:
    """The plan as a table: frames, windows, the cost of `num_steps` steps, keyframes, and windows drawn."""
    cost = plan.cost(num_steps)
    layout = plan.layout
    rows = [
        ("Frames", f"{plan.num_frames} generated, {len(plan.played_frames)} played"),
        ("Speed", f"{float(plan.fps):g} fps, {plan.duration:g} s"),
        ("Save", ", ".join(plan.formats)),
        ("Windows", f"{plan.context_length} frames, overlap {layout.overlap}, {layout.scheduler}"),
        ("Fuse", layout.fuse),
        ("Loop", layout.closed_loop),
        ("UNet", f"{cost.window_calls} window calls with {cost.frame_calls} frames in {num_steps} steps"),
        *(("Note", note) for note in plan.notes),
        *_track_rows("Prompt", plan.prompt_track),
        *_track_rows("Negative", plan.negative_prompt_track),
        *(row for step in range(min(drawn_steps, num_steps)) for row in _window_rows(plan, step)),
    ]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {text}".rstrip() for label, text in rows)


def _window_size(parameters: Parameters, module: ModuleLimits | None) -> int:
    """The context length, checked against what the module can take."""
    asked = parameters.context.batch_size
    if module is None:
        return asked or DEFAULT_WINDOW
    if asked is not None and asked > module.context_limit:
        raise ParameterError(
            f"batch_size is {asked}, but must be from 1 to {module.context_limit}, the most frames this "
            "motion module can see at once; for a longer clip raise video_length."
        )
    return asked or module.trained_frames


def _layout(parameters: Parameters, num_frames: int, window_size: int) -> ContextLayout:
    context = parameters.context
    check_overlap(context.overlap, window_size)
    return ContextLayout(
        num_frames=num_frames,
        window_size=window_size,
        stride=context.stride,
        overlap=window_size // 4 if context.overlap == -1 else context.overlap,
        closed_loop=context.closed_loop,
        scheduler=context.scheduler,
        fuse=context.fuse,
    )


def _frame_counts(
    parameters: Parameters, window_size: int, source_frames: int | None
) -> tuple[int, int, tuple[str, ...]]:
    """Frames in the video, frames to generate, and what to tell the user about it."""
    if source_frames is not None and source_frames < 1:
        raise ParameterError("The source has no frames: choose another video or folder.")
    asked = parameters.video_length or source_frames or window_size
    video_frames = asked if source_frames is None else min(asked, source_frames)
    notes: list[str] = []
    if video_frames < asked:
        notes.append(f"{asked} frames were asked for, but the source has {source_frames}: so many are made.")
    if parameters.context.closed_loop == "Seamless":
        return video_frames, video_frames, tuple(notes)
    num_frames = max(video_frames, min(window_size, source_frames or window_size))
    if num_frames > video_frames:
        notes.append(
            f"{video_frames} frames are fewer than a window's {num_frames}: {num_frames} are generated, the "
            f"first {video_frames} make the video."
        )
    return video_frames, num_frames, tuple(notes)


def _track_rows(label: str, track: PromptTrack) -> list[tuple[str, str]]:
    if not track.text:
        return []
    texts = [
        " ".join([track.prompts[keyframe.prompt], *(tag.text for tag in keyframe.loras)])
        for keyframe in track.keyframes
    ]
    if len(texts) == 1:
        return [(label, texts[0])]
    labels = [f"{label} {keyframe.frame}" for keyframe in track.keyframes]
    return list(zip(labels, texts, strict=True))


def _window_rows(plan: Plan, step: int) -> list[tuple[str, str]]:
    """One line per window: its frames, drawn over the clip."""
    cells = min(plan.num_frames, _DRAWN_FRAMES)
    rows: list[tuple[str, str]] = []
    for window in plan.windows(step):
        drawn = {frame * cells // plan.num_frames for frame in window.frames}
        bar = "".join("#" if cell in drawn else "." for cell in range(cells))
        rows.append(("" if rows else f"Step {step}", f"{bar}  from frame {window.frames[0]}"))
    return rows
