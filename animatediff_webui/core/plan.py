"""The plan of one clip: how many frames, which windows, which prompts, what is written. No tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol, TypeAlias

from .affinity import SMALL
from .camera import CameraPoses
from .errors import ParameterError
from .formats import FORMATS, Format, format_names
from .frame_rate import DEFAULT_FPS, exact_fps
from .frames import PING_PONG, ordered_frames
from .loops import LOOPS
from .multival import FrameValues
from .noise import DEFAULT_NOISE, NOISE_TYPES, free_noise_order
from .parameters import FIELD_BY_NAME, Camera, Parameters, check_overlap
from .prompt_travel import PromptTrack, parse_prompt_travel
from .sources import SourceInfo, length_notes, shortest_source, source_rate
from .step_values import StepValues, read_steps
from .steps import DEFAULT_STEPS
from .windows import ContextLayout, Window, build_spans, build_windows
from .written import written

Rows: TypeAlias = "Sequence[tuple[str, str]]"
"""Of a table: what each is about, and its text."""
DEFAULT_CONTEXT_LENGTH = 16
_DRAWN_FRAMES = 64
_LEVELS = "_.:-=+*#@"
_SAME_RATE = Fraction(1, 10**5)


class ModuleLimits(Protocol):
    """What a plan has to know of a motion module."""

    @property
    def context_length(self) -> int: ...
    @property
    def max_context_length(self) -> int: ...


@dataclass(frozen=True)
class PlanCost:
    """What sampling costs: calls of the UNet with one window each, and frames in them (per CFG half)."""

    window_calls: int
    frame_calls: int


@dataclass(frozen=True)
class JointLimits:
    """Those of several motion modules that run together: `first` sets the pace, and the least bears all."""

    context_length: int
    max_context_length: int


def joint_limits(modules: Sequence[ModuleLimits], camera: ModuleLimits | None = None) -> ModuleLimits:
    """The limits of one module and more, and of what tells them of a camera."""
    every = modules if camera is None else (*modules, camera)
    most = min(each.max_context_length for each in every)
    return JointLimits(min(modules[0].context_length, most), most)


@dataclass(frozen=True)
class MotionPlan:
    """How strongly the motion modules act on each frame: the first one, then the further ones.

    `affinity` is how alike each frame is to the picture that they animate. `reference` is how much each
    frame counts that windows see of the step's first one, up to the share `reference_end` of sampling.
    `camera` is how it moves, where that is said by name.
    """

    scale: FrameValues
    effect: FrameValues
    further: tuple[FrameValues, ...] = ()
    view: ContextLayout | None = None
    affinity: tuple[float, ...] = ()
    has_picture: bool = False
    reference: float = 0.0
    reference_end: float = 1.0
    camera: CameraPoses | None = None

    @property
    def values(self) -> tuple[FrameValues, ...]:
        """Those that change something."""
        return tuple(multival for multival in (self.scale, self.effect, *self.further) if not multival.is_one)

    def views(self, num_frames: int) -> tuple[Window, ...]:
        """The views of a window of so many frames, none where they all see each other."""
        if self.view is None or num_frames <= self.view.context_length:
            return ()
        return build_windows(replace(self.view, num_frames=num_frames), 0)


@dataclass(frozen=True)
class Plan:
    """All that is decided before generating.

    `num_frames` are generated, the first `video_frames` of them make the video, and `played_frames` says in
    which order; the others are saved as PNGs only. `notes` are sentences for the user. `noise_weight` is how
    much the noise of `noise_order` counts beside each frame's own. `context_lengths` are those of each step,
    where they change; `layout` is then that of the largest.
    """

    parameters: Parameters
    num_frames: int
    video_frames: int
    fps: Fraction
    layout: ContextLayout
    prompt_track: PromptTrack
    negative_prompt_track: PromptTrack
    played_frames: tuple[int, ...]
    keeps_sound: bool
    notes: tuple[str, ...]
    motion: MotionPlan
    noise_weight: FrameValues
    context_lengths: StepValues | None = None
    sources: tuple[SourceInfo, ...] = ()

    @property
    def context_length(self) -> int:
        """Frames in the largest window."""
        return min(self.layout.context_length, self.num_frames)

    @property
    def is_windowed(self) -> bool:
        """Whether there are steps in which no window holds all frames."""
        return _is_windowed(self.layout, self.context_lengths)

    @property
    def formats(self) -> tuple[Format, ...]:
        """What was asked for, in that order."""
        return tuple(FORMATS[name] for name in self.parameters.output.formats)

    @property
    def written_formats(self) -> tuple[Format, ...]:
        """What is written to files, in the order asked for."""
        return tuple(each for each in self.formats if each.is_file)

    @property
    def returns_frames(self) -> bool:
        """Whether an API client gets the frames, too."""
        return len(self.written_formats) < len(self.formats)

    @property
    def extra_frames(self) -> tuple[int, ...]:
        """Generated frames that are not in the video."""
        return tuple(range(self.video_frames, self.num_frames))

    @property
    def duration(self) -> float:
        """Seconds that the video plays once."""
        return self.num_shown / float(self.fps)

    @property
    def num_shown(self) -> int:
        """Frames of the video, those in between included."""
        return len(self.played_frames) * self.parameters.interpolation.frames_for_each

    @property
    def comes_round(self) -> bool:
        """Whether the video's last frame leads on to its first one."""
        if len(self.played_frames) > self.video_frames:  # forth and back
            return True
        loop = self.layout.loop
        return loop.is_circular and (loop.rotates or not self.layout.is_single)

    def windows(self, step: int, share: float = 0.0) -> tuple[Window, ...]:
        """The windows of a sampling step, counted from 0, before which this share of sampling is done."""
        return build_windows(self.layout_at(share), step)

    def layout_at(self, share: float) -> ContextLayout:
        """How windows are laid where this share of sampling is done, from 0 to 1."""
        if self.context_lengths is None:
            return self.layout
        length = round(self.context_lengths.at(share))
        overlap = _overlap(self.parameters.context.overlap, length)
        return replace(self.layout, context_length=length, overlap=overlap)

    @property
    def window_batch(self) -> int:
        """Windows of a step that are to go through the UNet together, 0: by free memory.

        One where windows see frames of the first one, which has to be computed before.
        """
        return 1 if self.motion.reference else self.parameters.context.window_batch

    def noise_order(self, seed: int) -> tuple[int, ...]:
        """Whose noise each frame starts from: its own, or with FreeNoise that of a first-window frame."""
        layout, noise_type = self.layout, self.parameters.noise.type
        if noise_type != DEFAULT_NOISE or not self.parameters.freenoise or layout.is_single:
            return NOISE_TYPES[noise_type](self.num_frames, layout.context_length)
        return free_noise_order(self.num_frames, layout.context_length, layout.window_hop, seed)

    def steps_per_iteration(self, num_steps: int) -> tuple[int, ...]:
        """Sampling steps of each pass over the clip: one, or FreeInit's, which grow with fast sampling."""
        freeinit = self.parameters.freeinit
        if not freeinit.enable:
            return (num_steps,)
        count = freeinit.iterations
        if not freeinit.fast:
            return (num_steps,) * count
        return tuple(max(1, num_steps * (index + 1) // count) for index in range(count))

    def cost(self, num_steps: int) -> PlanCost:
        """What `num_steps` sampling steps cost, for samplers that call the UNet once a step."""
        times = Counter(
            (step, self.layout_at(step / steps))
            for steps in self.steps_per_iteration(num_steps)
            for step in range(steps)
        )
        window_calls = frame_calls = 0
        for (step, layout), count in times.items():
            spans = build_spans(layout, step)
            window_calls += count * len(spans)
            frame_calls += count * sum(span.length for span in spans)
        return PlanCost(window_calls, frame_calls)

    def __str__(self) -> str:
        return format_plan(self)


def build_plan(
    parameters: Parameters,
    *,
    module: ModuleLimits | None,
    prompt: str = "",
    negative_prompt: str = "",
    sources: Sequence[SourceInfo] = (),
    num_steps: int = DEFAULT_STEPS,
) -> Plan:
    """The plan for these parameters, this motion module (None: none), these prompts and so many steps.

    The shortest of `sources` says how many frames there can be, the first one with a rate how fast they play.
    Raises ParameterError and PromptTravelError.
    """
    context_lengths, context_length = _read_context_length(parameters, module, num_steps)
    video_frames, num_frames, notes = _frame_counts(parameters, context_length, sources)
    layout = _layout(parameters, num_frames, context_length)
    source_fps = _source_fps(parameters, sources)
    fps = exact_fps(parameters.output.fps or source_fps or DEFAULT_FPS)
    _check_formats(parameters, fps)
    generated_fps = fps / parameters.interpolation.frames_for_each
    texts = prompt, negative_prompt
    tracks = [_read_track(text, parameters, layout, video_frames, generated_fps) for text in texts]
    played_frames = _played_frames(parameters, layout, video_frames)
    is_in_time = _is_same_rate(fps, source_fps) and len(played_frames) == video_frames
    return Plan(
        parameters=parameters,
        num_frames=num_frames,
        video_frames=video_frames,
        fps=fps,
        layout=layout,
        prompt_track=tracks[0],
        negative_prompt_track=tracks[1],
        played_frames=played_frames,
        keeps_sound=is_in_time and _wants_sound(parameters, sources),
        notes=(*notes, *_sound_notes(parameters, sources, is_in_time), *_reference_notes(parameters)),
        motion=_plan_motion(parameters, layout, generated_fps, context_lengths),
        noise_weight=parameters.noise.weight.over_frames(num_frames, generated_fps, "noise_weight"),
        context_lengths=context_lengths,
        sources=tuple(sources),
    )


def _read_track(
    text: str, parameters: Parameters, layout: ContextLayout, video_frames: int, fps: Fraction
) -> PromptTrack:
    """A prompt over all frames that are generated, `fps` of them in a second of the video."""
    easing = parameters.travel.easing
    track = parse_prompt_travel(text, video_frames, fps, layout.prompts_loop, easing=easing)
    return track.extended(layout.num_frames)


def format_plan(plan: Plan, num_steps: int = DEFAULT_STEPS, drawn_steps: int = 4, networks: Rows = ()) -> str:
    """The plan as a table: frames, sources, windows, the cost of `num_steps` steps, `networks` that steer the
    clip, keyframes, and windows drawn."""
    cost = plan.cost(num_steps)
    layout = plan.layout
    rows = [
        ("Frames", f"{plan.num_frames} generated, {plan.num_shown} played"),
        ("Speed", f"{float(plan.fps):g} fps, {plan.duration:g} s"),
        ("Save", format_names(plan.formats)),
        *_source_rows(plan),
        ("Windows", f"{plan.context_length} frames, overlap {layout.overlap}, {layout.scheduler}"),
        ("Fuse", layout.fuse),
        ("Loop", layout.closed_loop),
        ("UNet", f"{cost.window_calls} window calls with {cost.frame_calls} frames in {num_steps} steps"),
        *_motion_rows(plan),
        *networks,
        *(("Note", note) for note in plan.notes),
        *_track_rows("Prompt", plan.prompt_track),
        *_track_rows("Negative", plan.negative_prompt_track),
    ]
    for step in range(min(drawn_steps, num_steps)):
        rows += _window_rows(plan, step, num_steps)
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {text}".rstrip() for label, text in rows)


def _plan_motion(
    parameters: Parameters, layout: ContextLayout, fps: Fraction, lengths: StepValues | None
) -> MotionPlan:
    motion, num_frames = parameters.motion, layout.num_frames
    return MotionPlan(
        motion.scale.over_frames(num_frames, fps, "motion_scale"),
        motion.effect.over_frames(num_frames, fps, "motion_effect"),
        tuple(module.effect.over_frames(num_frames, fps, module.model) for module in motion.modules.modules),
        _plan_view(parameters, num_frames),
        motion.affinity.over_frames(num_frames),
        motion.picture is not None,
        motion.reference if _is_windowed(layout, lengths) and not motion.view_length else 0.0,
        motion.reference_end,
        _plan_camera(motion.camera, num_frames),
    )


def _plan_camera(camera: Camera, num_frames: int) -> CameraPoses | None:
    """The cameras of a motion by name. Raises ParameterError where what is said does not go together."""
    is_moved = bool(camera.motion.moves or camera.poses)
    if is_moved and camera.model is None:
        name = "camera_poses" if camera.poses else "camera_motion"
        raise ParameterError(
            f"There is a {name}, but no camera_model that could follow it: name CameraCtrl's."
        )
    if camera.model is not None and not is_moved:
        raise ParameterError(
            f"camera_model is {camera.model}, but nothing says how the camera moves: set camera_motion, such "
            'as "still", or camera_poses.'
        )
    return None if camera.poses or not is_moved else camera.motion.over_frames(num_frames)


def _plan_view(parameters: Parameters, num_frames: int) -> ContextLayout | None:
    """Views that stay where they are: what moves from step to step are the windows."""
    length, overlap = parameters.motion.view_length, parameters.motion.view_overlap
    if not length:
        return None
    if overlap >= length:
        raise ParameterError(
            f"view_overlap is {overlap}, but must be from -1 to {length - 1}, less than the view length "
            f"({length})."
        )
    return ContextLayout(
        num_frames,
        length,
        overlap=length // 4 if overlap == -1 else overlap,
        scheduler="standard static",
        fuse=parameters.context.fuse,
    )


def _read_context_length(
    parameters: Parameters, module: ModuleLimits | None, num_steps: int
) -> tuple[StepValues | None, int]:
    """The context length of each step, where it changes, and the largest. Raises ParameterError."""
    lengths = read_steps(parameters.context.schedule, num_steps, "context_schedule")
    largest = _context_length(parameters, module, lengths)
    check_overlap(parameters.context.overlap, _shortest(lengths, largest))
    return lengths, largest


def _context_length(parameters: Parameters, module: ModuleLimits | None, steps: StepValues | None) -> int:
    """The context length, of all steps the largest, checked against what the module can take."""
    view_length = parameters.motion.view_length
    name, asked = "batch_size", parameters.context.batch_size
    if steps is not None:
        name, asked = "context_schedule", round(max(steps.values))
    if module is None:
        return asked or DEFAULT_CONTEXT_LENGTH
    if view_length > module.max_context_length:
        raise ParameterError(
            f"view_length is {view_length}, but must be from 0 to {module.max_context_length}, the most "
            "frames this motion module can see at once."
        )
    if asked is not None and asked > module.max_context_length and not view_length:
        raise ParameterError(
            f"{name} is {asked}, but must be from 1 to {module.max_context_length}, the most frames this "
            "motion module can see at once; for a longer clip raise video_length, for a larger window set "
            "view_length."
        )
    return asked or module.context_length


def _check_formats(parameters: Parameters, fps: Fraction) -> None:
    """ParameterError where a format cannot show a frame for as long as the rate asks for."""
    for name in parameters.output.formats:
        each = FORMATS[name]
        if 1 / fps > each.longest_frame:
            raise ParameterError(
                f"fps is {float(fps):g}, but {name} shows a frame for at most {each.longest_frame:g} "
                "seconds: use a higher fps, or another format."
            )


def _layout(parameters: Parameters, num_frames: int, context_length: int) -> ContextLayout:
    context = parameters.context
    return ContextLayout(
        num_frames=num_frames,
        context_length=context_length,
        stride=context.stride,
        overlap=_overlap(context.overlap, context_length),
        closed_loop=context.closed_loop,
        scheduler=context.scheduler,
        fuse=context.fuse,
    )


def _overlap(asked: int, context_length: int) -> int:
    return context_length // 4 if asked == -1 else asked


def _is_windowed(layout: ContextLayout, lengths: StepValues | None) -> bool:
    return _shortest(lengths, layout.context_length) < layout.num_frames


def _played_frames(parameters: Parameters, layout: ContextLayout, video_frames: int) -> tuple[int, ...]:
    ping_pong = PING_PONG if layout.loop.returns_in_one_window and layout.is_single else ()
    return ordered_frames(video_frames, {*parameters.output.reverse, *ping_pong})


def _shortest(steps: StepValues | None, context_length: int) -> int:
    """The context length of the step that has the smallest."""
    return context_length if steps is None else round(min(steps.values))


def _frame_counts(
    parameters: Parameters, context_length: int, sources: Sequence[SourceInfo]
) -> tuple[int, int, tuple[str, ...]]:
    """Frames in the video, frames to generate, and what to tell the user about it."""
    shortest = shortest_source(sources)
    source_frames = None if shortest is None else shortest.num_frames
    asked = parameters.video_length or source_frames or context_length
    video_frames = asked if source_frames is None else min(asked, source_frames)
    notes = [note for source in sources for note in source.notes]
    if shortest is not None and video_frames < asked:
        notes.append(
            f"{asked} frames were asked for, but there are {source_frames} in {shortest.name}: so many are "
            "made."
        )
    elif not parameters.video_length:
        notes += length_notes(sources)
    if LOOPS[parameters.context.closed_loop].rotates:
        return video_frames, video_frames, tuple(notes)
    num_frames = max(video_frames, min(context_length, source_frames or context_length))
    if num_frames > video_frames:
        notes.append(
            f"{video_frames} frames are fewer than a window's {num_frames}: {num_frames} are generated, the "
            f"first {video_frames} make the video."
        )
    return video_frames, num_frames, tuple(notes)


def _source_fps(parameters: Parameters, sources: Sequence[SourceInfo]) -> Fraction | None:
    """The rate at which the clip keeps the source's speed, None where that has none."""
    rate = source_rate(sources)
    return None if rate is None else rate * parameters.interpolation.frames_for_each


def _is_same_rate(fps: Fraction, source_fps: Fraction | None) -> bool:
    """Whether sound stays with the pictures: 29.97 for 30000/1001 is off by a frame in ten hours."""
    return source_fps is not None and abs(fps / source_fps - 1) < _SAME_RATE


def _wants_sound(parameters: Parameters, sources: Sequence[SourceInfo]) -> bool:
    """Whether there is sound, it is not switched off, and a format can hold it."""
    holds_sound = any(FORMATS[name].holds_sound for name in parameters.output.formats)
    return parameters.source.audio and holds_sound and any(source.has_sound for source in sources)


def _sound_notes(parameters: Parameters, sources: Sequence[SourceInfo], is_in_time: bool) -> list[str]:
    if is_in_time or not _wants_sound(parameters, sources):
        return []
    return [
        "The source's sound is left out, because the animation does not play in the source's order and at "
        "its rate: leave fps empty and play no frames in reverse to keep it."
    ]


def _reference_notes(parameters: Parameters) -> list[str]:
    if not parameters.motion.reference or not parameters.motion.view_length:
        return []
    return ["The reference is not used, because views see no other window's frames: set view_length to 0."]


def _track_rows(label: str, track: PromptTrack) -> list[tuple[str, str]]:
    if not track.text:
        return []
    is_alone = len(track.keyframes) == 1
    rows: list[tuple[str, str]] = []
    for keyframe in track.keyframes:
        tags = [tag.text for tag in keyframe.loras]
        text = " ".join([track.prompts[keyframe.prompt], *tags])
        rows.append((label if is_alone else f"{label} {keyframe.frame}", text))
    return rows


def _source_rows(plan: Plan) -> list[tuple[str, str]]:
    rows = [("Source", source.summary) for source in plan.sources]
    keyframes = [str(each.frame) for each in plan.parameters.source.keyframes.keyframes]
    return [*rows, ("Pictures", f"of frames {', '.join(keyframes)}")] if keyframes else rows


def _motion_rows(plan: Plan) -> list[tuple[str, str]]:
    """A line for what each value is, and one of its height over the clip, where it changes."""
    motion, cfg = plan.parameters.motion, plan.parameters.cfg_schedule
    rows = [("Module", module.model) for module in motion.modules.modules]
    texts = {
        "context_schedule": plan.parameters.context.schedule,
        "motion_blocks": motion.blocks,
        "effect_schedule": motion.effect_schedule,
        "cfg_schedule": cfg,
    }
    for name, text in texts.items():
        if text is not None and str(text):
            rows.append((FIELD_BY_NAME[name].label, str(text)))
    if plan.motion.view is not None and plan.motion.views(plan.context_length):
        view = plan.motion.view
        rows.append(("Views", f"{view.context_length} frames, overlap {view.overlap}, inside each window"))
    if plan.motion.reference:
        end = f", up to {written(motion.reference_end)} of sampling" if motion.reference_end < 1 else ""
        rows.append(("Reference", f"{written(motion.reference)} of the first window{end}"))
    if motion.picture is not None or motion.affinity != SMALL:
        rows += [("Affinity", str(motion.affinity)), _drawn_row(plan.motion.affinity)]
    rows += _camera_rows(plan)
    values = plan.motion.values if plan.noise_weight.is_one else (*plan.motion.values, plan.noise_weight)
    for value in values:
        field = FIELD_BY_NAME.get(value.name)
        row = (field.label, value.text) if field else ("Effect", f"{value.text} of {value.name}")
        rows.append(row)
        if min(value.values) < max(value.values):
            rows.append(_drawn_row(value.values))
    return rows


def _camera_rows(plan: Plan) -> list[tuple[str, str]]:
    """How the camera moves, and a line for each of its ways, drawn from the lowest to the highest."""
    camera, poses = plan.parameters.motion.camera, plan.motion.camera
    if camera.poses:
        return [("Camera", "as the pose file says")]
    if poses is None:
        return []
    rows = [("Camera", str(camera.motion))]
    for name, values in poses.ways().items():
        low = min(values)
        drawn = draw_values([value - low for value in values])
        rows.append(("", f"{drawn}  {name}, {values[0]:.3g} to {values[-1]:.3g}"))
    return rows


def _drawn_row(values: Sequence[float]) -> tuple[str, str]:
    return "", f"{draw_values(values)}  {written(min(values))} to {written(max(values))}"


def draw_values(values: Sequence[float]) -> str:
    """Values as a line of letters, the fuller the higher; of long clips, each letter is several frames."""
    cells = min(len(values), _DRAWN_FRAMES)
    highest = max(values) or 1
    top = len(_LEVELS) - 1
    levels = (round(values[cell * len(values) // cells] / highest * top) for cell in range(cells))
    return "".join(_LEVELS[level] for level in levels)


def _window_rows(plan: Plan, step: int, num_steps: int) -> list[tuple[str, str]]:
    """One line per window: its frames, drawn over the clip."""
    cells = min(plan.num_frames, _DRAWN_FRAMES)
    rows: list[tuple[str, str]] = []
    for window in plan.windows(step, step / num_steps):
        bar = ["."] * cells
        for frame in window.frames:
            bar[frame * cells // plan.num_frames] = "#"
        rows.append(("" if rows else f"Step {step}", f"{''.join(bar)}  from frame {window.frames[0]}"))
    return rows
