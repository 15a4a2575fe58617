"""The parameters: one frozen object, one table of fields, and every way in and out of it.

The dataclasses hold types and defaults; the rows of `FIELDS` say how API, page, command line, infotext and
XYZ axes call each of them, what is allowed and what it is for. Nothing else reads raw values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from typing import Any, Literal, TypeAlias, cast, get_args

from PIL import Image

from .affinity import SMALL, Affinity
from .blocks import ALL_BLOCKS, BlockWeights
from .camera import NO_CAMERA, CameraMotion
from .errors import ParameterError, shown, shown_text
from .fields import Field, Kind, Value, json_value
from .file_names import REQUEST_ID
from .formats import FORMATS, format_names
from .frame_rate import MAX_FPS
from .freeinit import FILTERS
from .keyframes import NO_KEYFRAMES, Keyframes
from .loops import LOOPS
from .modules import NO_FURTHER, ExtraModules
from .multival import ONE, Multival
from .noise import NOISE_TYPES
from .positions import Moment
from .prompt_travel import BLENDINGS, EASINGS
from .schedules import Schedule
from .windows import FUSE_WEIGHTS, SCHEDULERS

__all__ = [
    "FIELDS",
    "FIELD_BY_NAME",
    "Context",
    "Field",
    "FreeInit",
    "InitImage",
    "Interpolation",
    "Kind",
    "Motion",
    "Output",
    "ParameterError",
    "Parameters",
    "PromptTravel",
    "Source",
    "changed_values",
    "check_overlap",
    "json_schema",
    "parse_parameters",
    "replace_values",
    "to_api",
]

InterpolationMethod: TypeAlias = Literal["Off", "Motion-compensated", "RIFE", "FILM"]

MAX_FRAMES = 100_000
"""Of a clip: more than an hour of video, and few enough to plan in a second."""
MAX_CONTEXT_LENGTH = 1024
"""Far above what any motion module can see at once; each module has its own, lower limit."""
MAX_WINDOW_BATCH = 64
MAX_STRIDE = 16
"""Levels of windows; at the last, they take every 32,768th frame."""
MAX_LOOPS = 65_535
"""What a GIF can say."""
MAX_INTERPOLATION = 100
MAX_SOURCE_STRIDE = 10_000


@dataclass(frozen=True)
class Output:
    """What is written."""

    formats: tuple[str, ...] = ("GIF", "PNG")
    fps: float | None = None
    loop_number: int = 0
    reverse: tuple[int, ...] = ()
    request_id: str = ""


@dataclass(frozen=True)
class Context:
    """Which frames the motion module sees together."""

    batch_size: int | None = None
    schedule: Schedule | None = None
    stride: int = 1
    overlap: int = -1
    closed_loop: str = "R-P"
    scheduler: str = "uniform"
    fuse: str = "pyramid"
    window_batch: int = 1


@dataclass(frozen=True)
class PromptTravel:
    """How prompts turn into one another."""

    blend: str = "slerp"
    easing: str = "linear"


@dataclass(frozen=True)
class Interpolation:
    """Frames put between the generated ones."""

    method: InterpolationMethod = "Off"
    factor: int = 10

    @property
    def frames_for_each(self) -> int:
        """By how many frames each one that is played is replaced."""
        return 1 if self.method == "Off" else self.factor


@dataclass(frozen=True)
class Source:
    """Videos and folders that frames or their control images come from."""

    video: str | None = None
    folder: str | None = None
    masks: str | None = None
    start: Moment = 0
    end: Moment | None = None
    stride: int = 1
    audio: bool = True
    keyframes: Keyframes = NO_KEYFRAMES


@dataclass(frozen=True)
class InitImage:
    """img2img: how far into the clip the first and the last picture reach."""

    power: float = 1.0
    scale: float = 32.0
    last_frame: Image.Image | None = None
    last_power: float = 1.0
    last_scale: float = 32.0


@dataclass(frozen=True)
class FreeInit:
    """FreeInit (arXiv 2312.07537)."""

    enable: bool = False
    filter: str = "butterworth"
    spatial_stop: float = 0.25
    temporal_stop: float = 0.25
    iterations: int = 3
    fast: bool = False


@dataclass(frozen=True)
class Camera:
    """How a camera moves, and which of CameraCtrl's files tells the motion module so."""

    model: str | None = None
    motion: CameraMotion = NO_CAMERA
    poses: str | None = None


@dataclass(frozen=True)
class Motion:
    """How motion modules act: over frames, over the picture, over the UNet's blocks and over steps."""

    scale: Multival = ONE
    effect: Multival = ONE
    effect_schedule: Schedule | None = None
    blocks: BlockWeights = ALL_BLOCKS
    modules: ExtraModules = NO_FURTHER
    view_length: int = 0
    view_overlap: int = -1
    picture: Image.Image | None = None
    affinity: Affinity = SMALL
    reference: float = 0.0
    reference_end: float = 1.0
    camera: Camera = Camera()


@dataclass(frozen=True)
class Noise:
    """What frames start from."""

    type: str = "default"
    weight: Multival = ONE
    offset: int = 1


@dataclass(frozen=True)
class Parameters:
    """Everything a request can ask of the animation, validated."""

    enable: bool = False
    model: str | None = None
    video_length: int = 0
    freenoise: bool = True
    output: Output = Output()
    context: Context = Context()
    travel: PromptTravel = PromptTravel()
    interpolation: Interpolation = Interpolation()
    source: Source = Source()
    init: InitImage = InitImage()
    freeinit: FreeInit = FreeInit()
    motion: Motion = Motion()
    noise: Noise = Noise()
    cfg_schedule: Schedule | None = None


def _get(parameters: Parameters, attribute: str) -> Value:
    """The value at a dotted path. (Any: the path is data.)"""
    value: Any = parameters
    for name in attribute.split("."):
        value = getattr(value, name)
    return value


_DEFAULTS = Parameters()


def _row(name: str, attribute: str, label: str, kind: Kind, group: str, help: str, **rest: Any) -> Field:
    """A field whose default is what its dataclass says. (Any: the rest of Field's arguments.)"""
    return Field(name, attribute, label, kind, group, help, default=_get(_DEFAULTS, attribute), **rest)


# A bare list of values is read in this order: new rows go to the end.
FIELDS: tuple[Field, ...] = (
    _row(
        "enable", "enable", "Enable AnimateDiff", Kind.BOOL, "Animation",
        "Make an animation. Off: the host behaves exactly as without the extension.",
    ),
    _row(
        "model", "model", "Motion module", Kind.MODEL, "Animation",
        "The motion module, by its name in the list. Empty: the first one found.",
        aliases=("motion_module",),
    ),
    _row(
        "format", "output.formats", "Save", Kind.CHOICES, "Output",
        "What is written. PNG adds the frames, TXT the infotext, Frame returns the frames through the API.",
        choices=tuple(FORMATS), aliases=("formats",),
    ),
    _row(
        "video_length", "video_length", "Number of frames", Kind.INTEGER, "Animation",
        "0: as the source video, else the context batch size.",
        details="Below the context batch size, as many as that are generated, and the first ones make the "
        "video.",
        minimum=0, maximum=MAX_FRAMES, aliases=("num_frames", "number_of_frames"),
    ),
    _row(
        "fps", "output.fps", "FPS", Kind.NUMBER, "Output",
        "Frames per second. Empty: the source video's, else 8.",
        above=0.0, maximum=MAX_FPS,
    ),
    _row(
        "loop_number", "output.loop_number", "Display loop number", Kind.INTEGER, "Output",
        "How often a GIF, WEBP or APNG plays. 0: for ever.",
        minimum=0, maximum=MAX_LOOPS,
    ),
    _row(
        "closed_loop", "context.closed_loop", "Closed loop", Kind.CHOICE, "Context windows",
        "N: none. R-P: windows may wrap round the end. R+P: prompts loop too. A: windows wrap everywhere, "
        "and short clips play forth and back. Seamless: no end at all, at any length.",
        choices=tuple(LOOPS), old_values=((True, "A"), (False, "N")),
    ),
    _row(
        "batch_size", "context.batch_size", "Context batch size", Kind.INTEGER, "Context windows",
        "Frames that the motion module sees at once.",
        details="Empty: as many as it was trained on, 16 for most and 8 for HotShot-XL.",
        minimum=1, maximum=MAX_CONTEXT_LENGTH, aliases=("context_batch_size", "context_length"),
    ),
    _row(
        "stride", "context.stride", "Stride", Kind.INTEGER, "Context windows",
        "Ties far frames together.",
        details="Windows also take every 2nd, 4th, ... frame, at most this many levels.",
        minimum=1, maximum=MAX_STRIDE, aliases=("context_stride",),
    ),
    _row(
        "overlap", "context.overlap", "Overlap", Kind.INTEGER, "Context windows",
        "Frames that neighbouring windows share. -1: a quarter.",
        details="A quarter of the context batch size.",
        minimum=-1, maximum=MAX_CONTEXT_LENGTH - 1, aliases=("context_overlap",),
    ),
    _row(
        "interp", "interpolation.method", "Frame interpolation", Kind.CHOICE, "Output",
        "Puts frames in between after generating.",
        details="RIFE and FILM are networks, to be installed and downloaded.",
        choices=get_args(InterpolationMethod),
    ),
    _row(
        "interp_x", "interpolation.factor", "Interp X", Kind.INTEGER, "Output",
        "Each generated frame is replaced by this many.",
        minimum=1, maximum=MAX_INTERPOLATION,
    ),
    _row(
        "video_source", "source.video", "Video source", Kind.PATH, "Sources",
        "A video, GIF or animated WEBP: control frames for ControlNet, or the frames to start from.",
        details="A path; through the API also the file itself as base64 or a data URL.",
        private=True,
    ),
    _row(
        "video_path", "source.folder", "Video path", Kind.PATH, "Sources",
        "A folder of frames in natural order, used like the video source; it wins over it.",
        details="Folders image and mask inside it are the frames and their masks.",
        private=True,
    ),
    _row(
        "mask_path", "source.masks", "Mask path", Kind.PATH, "Sources",
        "Masks, one for each frame: a folder, a video, or one picture for all.",
        details="White is drawn anew. ControlNet units with masks of their own keep these.",
        private=True, aliases=("mask",),
    ),
    _row(
        "reverse", "output.reverse", "Reverse", Kind.CHOICES, "Output",
        "0: append the frames in reverse.",
        details="1: without the first of those. 2: without the last of those.",
        choices=(0, 1, 2),
    ),
    _row(
        "latent_power", "init.power", "Latent power", Kind.NUMBER, "Image to image",
        "How fast the picture's share falls.",
        details="Frame i starts from 1 - i^power/scale of the picture; the rest is noise.",
        minimum=0,
    ),
    _row(
        "latent_scale", "init.scale", "Latent scale", Kind.NUMBER, "Image to image",
        "The larger, the longer the picture is held.",
        above=0.0,
    ),
    _row(
        "last_frame", "init.last_frame", "Last frame", Kind.IMAGE, "Image to image",
        "A picture to end with.",
        private=True,
    ),
    _row(
        "latent_power_last", "init.last_power", "Latent power (last)", Kind.NUMBER, "Image to image",
        "Latent power, counted from the end.",
        minimum=0,
    ),
    _row(
        "latent_scale_last", "init.last_scale", "Latent scale (last)", Kind.NUMBER, "Image to image",
        "Latent scale for the last frame.",
        above=0.0,
    ),
    _row(
        "freeinit_enable", "freeinit.enable", "FreeInit", Kind.BOOL, "FreeInit",
        "Sample several times, keeping the low frequencies of the noise: steadier, and slower.",
    ),
    _row(
        "freeinit_filter", "freeinit.filter", "Filter", Kind.CHOICE, "FreeInit",
        "The shape of the low-pass filter.",
        choices=tuple(FILTERS),
    ),
    _row(
        "freeinit_ds", "freeinit.spatial_stop", "Spatial stop frequency", Kind.NUMBER, "FreeInit",
        "What counts as low within a frame.",
        details="1 is the highest frequency.",
        minimum=0, maximum=1,
    ),
    _row(
        "freeinit_dt", "freeinit.temporal_stop", "Temporal stop frequency", Kind.NUMBER, "FreeInit",
        "What counts as low over the frames.",
        details="1 is the highest frequency.",
        minimum=0, maximum=1,
    ),
    _row(
        "freeinit_iters", "freeinit.iterations", "Iterations", Kind.INTEGER, "FreeInit",
        "How often the clip is sampled.",
        minimum=2, maximum=10,
    ),
    _row(
        "request_id", "output.request_id", "Request id", Kind.TEXT, "Output",
        "Becomes the end of the file names.",
        pattern=REQUEST_ID,
    ),
    _row(
        "context_scheduler", "context.scheduler", "Window scheduler", Kind.CHOICE, "Context windows",
        "How windows are laid over the clip.",
        details="uniform: they move from step to step. standard static: they stay. looped uniform: they "
        "always wrap. batched: no overlap, fastest, cuts show.",
        choices=tuple(SCHEDULERS),
    ),
    _row(
        "context_fuse", "context.fuse", "Fuse weights", Kind.CHOICE, "Context windows",
        "How overlapping windows are averaged.",
        details="flat: evenly. pyramid: the middle counts most. overlap-linear: only the overlap fades.",
        choices=tuple(FUSE_WEIGHTS),
    ),
    _row(
        "prompt_blend", "travel.blend", "Prompt blending", Kind.CHOICE, "Prompt travel",
        "How the embeddings of two keyframes are mixed.",
        choices=tuple(BLENDINGS),
    ),
    _row(
        "prompt_easing", "travel.easing", "Prompt easing", Kind.CHOICE, "Prompt travel",
        "The pace between keyframes.",
        details="linear: evenly. hold: jumps at each keyframe. ease in-out: slow at both keyframes.",
        choices=tuple(EASINGS),
    ),
    _row(
        "freenoise", "freenoise", "FreeNoise", Kind.BOOL, "Noise",
        "Longer than one window: all windows start from the same noise, shuffled, so that they agree.",
    ),
    _row(
        "freeinit_fast", "freeinit.fast", "Fast sampling", Kind.BOOL, "FreeInit",
        "Fewer steps in the early iterations.",
    ),
    _row(
        "video_start", "source.start", "Video start", Kind.MOMENT, "Sources",
        "The source's first frame that is used.",
        details='A number counted from 0, or a time such as "1.5s".',
    ),
    _row(
        "video_end", "source.end", "Video end", Kind.MOMENT, "Sources",
        "The source's first frame that is no longer used. Empty: up to its end.",
        details='A number counted from 0, or a time such as "1.5s".',
    ),
    _row(
        "video_stride", "source.stride", "Video stride", Kind.INTEGER, "Sources",
        "1: each frame of the source. 2: every other one, at half the rate.",
        minimum=1, maximum=MAX_SOURCE_STRIDE,
    ),
    _row(
        "audio", "source.audio", "Sound", Kind.BOOL, "Sources",
        "Copy the source's sound into MP4, MOV and WEBM.",
        details="Where the animation plays in the source's order and at its rate.",
    ),
    _row(
        "motion_scale", "motion.scale", "Motion scale", Kind.MULTIVAL, "Motion",
        "How strongly frames attend to each other.",
        details="A number, a schedule over frames (0: 1, 50%: 1.4), a mask (a picture, or a folder or video "
        "with one a frame), or several with * between them.",
    ),
    _row(
        "motion_effect", "motion.effect", "Motion effect", Kind.MULTIVAL, "Motion",
        "How much of what the motion module adds counts. 0: nothing moves together.",
        details="A number, a schedule or a mask, like motion scale: where a mask is black, the module does "
        "not act.",
    ),
    _row(
        "effect_schedule", "motion.effect_schedule", "Motion effect over steps", Kind.SCHEDULE, "Motion",
        "Multiplies the motion effect, step by step.",
        details="0: 1, 50%: 0.4 over sampling steps, counted from 0. Empty: the same in all steps.",
        minimum=0, maximum=100,
    ),
    _row(
        "motion_blocks", "motion.blocks", "Motion by blocks", Kind.BLOCKS, "Motion",
        "The motion effect in blocks of the UNet: down 0: 0.5, mid: 0, up 3.1: 0.",
        details="down 0 and up 3 see details, mid sees the whole. up 3.1 is the second layer of up 3. SDXL "
        "has levels 0 to 2. Empty: 1 everywhere.",
    ),
    _row(
        "modules", "motion.modules", "Further motion modules", Kind.MODULES, "Motion",
        "Names with ; between them, or a list as JSON.",
        details="Each of the list has a model, and may have effect, blocks, start, end (shares of sampling) "
        "and loras. They act behind the first one, whose beta schedule counts.",
    ),
    _row(
        "view_length", "motion.view_length", "View length", Kind.INTEGER, "Motion",
        "Frames that the module's attention sees at once, inside a window. 0: the whole window.",
        details="So the context batch size may be larger than the module was made for.",
        minimum=0, maximum=MAX_CONTEXT_LENGTH,
    ),
    _row(
        "view_overlap", "motion.view_overlap", "View overlap", Kind.INTEGER, "Motion",
        "Frames that neighbouring views share. -1: a quarter.",
        details="A quarter of the view length.",
        minimum=-1, maximum=MAX_CONTEXT_LENGTH - 1,
    ),
    _row(
        "noise_type", "noise.type", "Noise type", Kind.CHOICE, "Noise",
        "Whose noise a frame starts from.",
        details="default: its own. constant: the first frame's. repeated: that of the same place in the "
        "first window.",
        choices=tuple(NOISE_TYPES),
    ),
    _row(
        "noise_weight", "noise.weight", "Noise weight", Kind.MULTIVAL, "Noise",
        "How much that noise counts; the rest is the frame's own.",
        details="A number from 0 to 1, a schedule over frames or a mask, like motion scale: with the type "
        "constant, what is white under a mask starts alike in all frames.",
        maximum=1,
    ),
    _row(
        "noise_offset", "noise.offset", "Seed offset", Kind.INTEGER, "Noise",
        "From one frame's seed to the next one's.",
        minimum=0, maximum=1_000_000,
    ),
    _row(
        "cfg_schedule", "cfg_schedule", "CFG scale over steps", Kind.SCHEDULE, "Sampling",
        "The CFG scale step by step, such as 0: 7, 50%: 4.",
        details="Steps are counted from 0. Empty: the same in all steps.",
        minimum=0, maximum=100,
    ),
    _row(
        "motion_picture", "motion.picture", "Motion picture", Kind.IMAGE, "Motion",
        "The picture that PIA and AnimateLCM-I2V animate. Empty: in img2img, its picture.",
        private=True,
    ),
    _row(
        "affinity", "motion.affinity", "Affinity", Kind.AFFINITY, "Motion",
        "How alike PIA's frames are to the picture: small, medium, large, or a list.",
        details="Or loop small, loop medium, loop large, which come round, style small, style medium, style "
        "large, which draw it anew, or one number a frame: 1, 0.9, 0.85, of which the last one holds.",
    ),
    _row(
        "reference", "motion.reference", "Reference", Kind.NUMBER, "Motion",
        "How much all windows see of the first one. 0: nothing.",
        details="For clips longer than one window, so that they look alike: four of its frames, each of "
        "which counts as so many of a window's own.",
        minimum=0, maximum=10,
    ),
    _row(
        "reference_end", "motion.reference_end", "Reference end", Kind.NUMBER, "Motion",
        "Up to which share of sampling windows see the first one.",
        minimum=0, maximum=1,
    ),
    _row(
        "camera_model", "motion.camera.model", "Camera model", Kind.FURTHER_MODEL, "Motion",
        "CameraCtrl's file, by its name in the list of motion modules. Empty: no camera.",
        details="It was made for AnimateDiff v3, which stays the motion module.",
    ),
    _row(
        "camera_motion", "motion.camera.motion", "Camera motion", Kind.CAMERA, "Motion",
        "How the camera moves: pan left, zoom in, tilt up, roll clockwise, orbit right, still.",
        details="With a speed behind it, 1 if there is none, and several at once with + between them: pan "
        "left 0.5 + zoom in.",
    ),
    _row(
        "camera_poses", "motion.camera.poses", "Camera poses", Kind.PATH, "Motion",
        "A pose file of RealEstate10K, with a line for each frame; it wins over the camera motion.",
        details="A path, or the lines themselves.",
        private=True,
    ),
    _row(
        "window_batch", "context.window_batch", "Windows at once", Kind.INTEGER, "Context windows",
        "Windows that go through the UNet together. 0: as many as a GPU has free memory for.",
        details="The clip is the same, but for rounding. On CPUs, 0 is 1. With a reference or SparseCtrl, "
        "and with ControlNet's units in a WebUI, it is always 1.",
        minimum=0, maximum=MAX_WINDOW_BATCH, private=True,
    ),
    _row(
        "keyframes", "source.keyframes", "Keyframe images", Kind.KEYFRAMES, "Sources",
        "Pictures of some frames, such as 0=first.png; 15=last.png, for SparseCtrl and IP-Adapter.",
        details="For ControlNet's units without a picture of their own: SparseCtrl draws these frames like "
        "them, and IP-Adapter tells of them, travelling from one to the next. Paths; through the API also "
        "base64 or data URLs.",
        private=True,
    ),
    _row(
        "context_schedule", "context.schedule", "Context batch size over steps", Kind.SCHEDULE,
        "Context windows",
        "In place of the context batch size, step by step: 0: 16, 50%: 8.",
        details="Steps are counted from 0, frames are whole. Empty: the same in all steps.",
        minimum=1, maximum=MAX_CONTEXT_LENGTH,
    ),
)  # fmt: skip

FIELD_BY_NAME: Mapping[str, Field] = {
    spelling: field for field in FIELDS for spelling in (field.name, *field.aliases)
}


def parse_parameters(raw: object = None, *, defaults: Parameters = _DEFAULTS) -> Parameters:
    """The parameters in `raw`: a dict, a list of dicts, a bare list in table order, or nothing.

    Missing keys and nulls take their value from `defaults` (a host's settings). Raises ParameterError for
    unknown keys, wrong types and values out of range, naming the key, the value and what is allowed.
    """
    if isinstance(raw, Parameters):
        return raw
    values: dict[str, Value] = {}
    for key, value in _items(raw):
        field = FIELD_BY_NAME.get(key)
        if field is None:
            raise ParameterError(
                f"{shown_text(key)} is no parameter of AnimateDiff; there are: {', '.join(_names())}."
            )
        if field.name in values:
            raise ParameterError(f"{field.name} is given twice: give it once.")
        values[field.name] = field.read(value) if value is not None else _get(defaults, field.attribute)
    return replace_values(defaults, values)


def replace_values(parameters: Parameters, values: Mapping[str, Value]) -> Parameters:
    """`parameters` with other values, by API name and already read; checks what involves several fields."""
    changed = reduce(
        lambda whole, name: _set(whole, FIELD_BY_NAME[name].attribute.split("."), values[name]),
        values,
        parameters,
    )
    _check_formats(changed.output.formats)
    if changed.context.batch_size is not None:
        check_overlap(changed.context.overlap, changed.context.batch_size)
    return changed


def changed_values(parameters: Parameters, since: Parameters = _DEFAULTS) -> dict[str, Value]:
    """API name to value of every field that differs from `since`, in table order."""
    return {
        field.name: value
        for field in FIELDS
        if (value := _get(parameters, field.attribute)) != _get(since, field.attribute)
    }


def to_api(parameters: Parameters) -> dict[str, Any]:
    """What an API client would send for `parameters`: every field, in table order. (Any: JSON.)"""
    return {field.name: json_value(_get(parameters, field.attribute)) for field in FIELDS}


def json_schema() -> dict[str, Any]:
    """The parameters as a JSON Schema (2020-12); old spellings are marked as deprecated. (Any: JSON.)"""
    properties: dict[str, Any] = {}
    old: dict[str, Any] = {}
    for field in FIELDS:
        properties[field.name] = field.schema()
        for alias in field.aliases:
            old[alias] = {**field.schema(), "deprecated": True}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "AnimateDiff",
        "type": "object",
        "properties": properties | old,
        "additionalProperties": False,
    }


def check_overlap(overlap: int, batch_size: int) -> None:
    """Raise ParameterError unless windows of `batch_size` frames can overlap by `overlap`."""
    if overlap >= batch_size:
        raise ParameterError(
            f"overlap is {overlap}, but must be from -1 to {batch_size - 1}, less than the context batch "
            f"size ({batch_size})."
        )


def _items(raw: object) -> list[tuple[str, object]]:
    """The keys and values in any of the shapes that API clients send."""
    if raw is None:
        return []
    if isinstance(raw, Mapping):
        return [(str(key), value) for key, value in cast("Mapping[object, object]", raw).items()]
    if not isinstance(raw, (list, tuple)):
        raise ParameterError(
            f'The arguments are {shown(raw)}, but must be an object such as {{"enable": true}}.'
        )
    rows = cast("Sequence[object]", raw)
    if rows and isinstance(rows[0], Mapping):
        if not all(isinstance(row, Mapping) for row in rows):
            raise ParameterError("The arguments mix objects and bare values: send one object with all keys.")
        return list(chain.from_iterable(map(_items, rows)))
    if len(rows) > len(FIELDS):
        raise ParameterError(
            f"{len(rows)} values are given for {len(FIELDS)} parameters: send an object that names them."
        )
    return [(field.name, value) for field, value in zip(FIELDS, rows, strict=False)]


def _names() -> list[str]:
    return [field.name for field in FIELDS]


def _set(whole: Any, path: list[str], value: Value) -> Any:
    """A copy of a frozen dataclass with the value at `path` replaced. (Any: the path is data.)"""
    name, *rest = path
    return replace(whole, **{name: _set(getattr(whole, name), rest, value) if rest else value})


def _check_formats(formats: Sequence[str]) -> None:
    if not any(FORMATS[name].is_animation for name in formats):
        animations = format_names(row for row in FORMATS.values() if row.is_animation)
        companions = format_names(row for row in FORMATS.values() if not row.is_animation)
        raise ParameterError(
            f"format is {list(formats)}, but must hold at least one of {animations}; {companions} only go "
            "beside them."
        )
