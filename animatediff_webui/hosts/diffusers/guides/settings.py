"""Networks that steer a clip, as callers name them: which, how strongly, when, and by which pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from animatediff_webui.core.errors import ParameterError, shown
from animatediff_webui.core.fields import Field, Kind, Value

from ..keywords import as_list, as_path, plain_number
from ..pictures import read_picture_value
from .preprocessors import NO_PREPROCESSOR, PREPROCESSORS

if TYPE_CHECKING:
    from PIL import Image

GROUP = "Control"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_SHARE = r"\d*\.?\d+|\d+\."
_NOTATION = re.compile(
    rf"(?P<model>.+?)(?::(?P<weight>{_NUMBER})(?::(?P<start>{_SHARE})-(?P<end>{_SHARE}))?)?", re.DOTALL
)


def _row(
    name: str, label: str, kind: Kind, help: str, default: Value = None,
    *, minimum: float | None = None, maximum: float | None = None, choices: tuple[str, ...] = (),
) -> Field:  # fmt: skip
    return Field(
        name, name, label, kind, GROUP, help, default, minimum=minimum, maximum=maximum, choices=choices
    )


WEIGHT = _row("weight", "Weight", Kind.NUMBER, "How strongly it acts.", 1.0, minimum=-10, maximum=10)
START = _row("start", "Start", Kind.NUMBER, "The share of sampling it begins at.", 0.0, minimum=0, maximum=1)
END = _row("end", "End", Kind.NUMBER, "The share of sampling it ends at.", 1.0, minimum=0, maximum=1)
CONTROL_VIDEO = _row(
    "control_video", "Control video", Kind.PATH,
    "What the ControlNet before it follows, frame by frame: a video, or a folder of frames. Empty: the "
    "source.",
)  # fmt: skip
CONTROL_IMAGE = _row(
    "control_image", "Control image", Kind.IMAGE, "What the ControlNet before it follows in every frame."
)
IP_IMAGE = _row(
    "ip_image", "IP image", Kind.IMAGE,
    "A picture for the IP-Adapter before it; several, each from its frame on, travel as prompts do.",
)  # fmt: skip
IMAGE_ENCODER = _row(
    "image_encoder", "Image encoder", Kind.PATH,
    "The folder of the image encoder of the IP-Adapter before it. Empty: image_encoder beside it.",
)  # fmt: skip
KEYFRAME = _row(
    "keyframe", "Keyframe", Kind.IMAGE,
    "The picture of a frame, for the SparseCtrl before it; any number of times.",
)  # fmt: skip
PREPROCESSOR = _row(
    "preprocessor", "Preprocessor", Kind.CHOICE,
    "What the ControlNet before it is shown of its frames or picture.",
    NO_PREPROCESSOR, choices=tuple(PREPROCESSORS),
)  # fmt: skip


@dataclass(frozen=True)
class Network:
    """`model`: a file, a folder, or the name of one that the checkpoint brings along. It acts with `weight`
    from the share `start` of sampling on, up to `end`. Raises ParameterError for what is not allowed; files
    of weights are looked for later."""

    model: Path | str
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0

    title: ClassVar[str] = "network"
    keyword: ClassVar[str] = "network"

    def __post_init__(self) -> None:
        if as_path(self.model) is None or not str(self.model).strip():
            raise ParameterError(
                f"{self.keyword} is {shown(self.model)}, but must be a file, a folder or a name."
            )
        for row in (WEIGHT, START, END):  # frozen, and 1 is 1.0
            object.__setattr__(self, row.name, row.read(getattr(self, row.name)))
        if self.start >= self.end:
            raise ParameterError(
                f"{self.keyword} {self.name} acts from {self.start:g} to {self.end:g} of sampling, which is "
                "never: let the start be below the end."
            )

    @property
    def name(self) -> str:
        """What sentences and infotexts call it."""
        return Path(self.model).stem

    def weight_at(self, step: int, num_steps: int) -> float:
        """The weight in a step, 0 where any of it lies outside, as diffusers counts."""
        is_outside = step / num_steps < self.start or (step + 1) / num_steps > self.end
        return 0.0 if is_outside else self.weight

    @property
    def summary(self) -> str:
        """What it is told, in a line."""
        is_whole = self.start == 0 and self.end == 1
        part = "" if is_whole else f", from {self.start:g} to {self.end:g} of sampling"
        return f"{self.name}, weight {self.weight:g}{part}"

    @property
    def facts(self) -> Mapping[str, object]:
        """What infotexts tell of it."""
        return {
            "Model": self.name,
            "Weight": f"{self.weight:g}",
            "Guidance Start": f"{self.start:g}",
            "Guidance End": f"{self.end:g}",
        }


@dataclass(frozen=True)
class ControlNet(Network):
    """A ControlNet, with what it follows: a `video` (a file or a folder of frames), or one `image` for all
    frames; without either, the clip's source. `preprocessor` makes of them what the network wants to see."""

    video: Path | str | None = None
    image: Image.Image | Path | str | None = None
    preprocessor: str = NO_PREPROCESSOR

    title: ClassVar[str] = "ControlNet"
    keyword: ClassVar[str] = "controlnet"

    def __post_init__(self) -> None:
        super().__post_init__()
        video = None if self.video is None else str(as_path(self.video) or self.video)
        object.__setattr__(self, "video", CONTROL_VIDEO.read(video))
        image = CONTROL_IMAGE.read(read_picture_value(CONTROL_IMAGE, self.image))
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "preprocessor", PREPROCESSOR.read(self.preprocessor))
        if self.video is not None and self.image is not None:
            raise ParameterError(
                f"ControlNet {self.name} has a control video and a control image, but follows one of them: "
                "leave one out."
            )

    @property
    def facts(self) -> Mapping[str, object]:
        return {"Module": self.preprocessor, **super().facts}

    @property
    def summary(self) -> str:
        shown = "one picture" if self.video is None else Path(self.video).name
        prepared = "" if self.preprocessor == NO_PREPROCESSOR else f" by {self.preprocessor}"
        return f"{super().summary}, follows {'the source' if self.follows_source else shown}{prepared}"

    @property
    def picture(self) -> Image.Image | None:
        """`image`, read."""
        return cast("Image.Image | None", self.image)

    @property
    def follows_source(self) -> bool:
        """Whether the clip's source is what it follows."""
        return self.video is None and self.image is None


@dataclass(frozen=True)
class SparseCtrl(Network):
    """A SparseCtrl, with pictures for some frames: `keyframes`, by the frames' numbers, counted from 0."""

    keyframes: Mapping[int, Image.Image | Path | str] = field(
        default_factory=dict[int, "Image.Image | Path | str"]
    )

    title: ClassVar[str] = "SparseCtrl"
    keyword: ClassVar[str] = "sparsectrl"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(
            self, "keyframes", _read_keyframes(self.keyframes, f"SparseCtrl {self.name}", KEYFRAME)
        )

    @property
    def pictures(self) -> Mapping[int, Image.Image]:
        """`keyframes`, read, in the order of the frames."""
        return cast("Mapping[int, Image.Image]", self.keyframes)

    @property
    def summary(self) -> str:
        return f"{super().summary}, {_listed_frames(self.pictures)}"

    @property
    def facts(self) -> Mapping[str, object]:
        return {**super().facts, "Keyframes": " ".join(map(str, self.keyframes))}


@dataclass(frozen=True)
class IpAdapter(Network):
    """An IP-Adapter, with the pictures that it tells of: one in `images`, or some by the frames' numbers,
    which travel as prompts do. `image_encoder`: a folder, if it is not beside the adapter."""

    images: Mapping[int, Image.Image | Path | str] | Image.Image | Path | str = ""
    image_encoder: Path | str | None = None

    title: ClassVar[str] = "IP-Adapter"
    keyword: ClassVar[str] = "ip_adapter"

    def __post_init__(self) -> None:
        super().__post_init__()
        images: object = self.images
        given = cast("object", images) if isinstance(images, Mapping) else {0: images}
        object.__setattr__(self, "images", _read_keyframes(given, f"IP-Adapter {self.name}", IP_IMAGE))
        if self.image_encoder is not None and as_path(self.image_encoder) is None:
            raise ParameterError(f"image_encoder is {shown(self.image_encoder)}, but must be a folder.")

    @property
    def pictures(self) -> Mapping[int, Image.Image]:
        """`images`, read, in the order of the frames."""
        return cast("Mapping[int, Image.Image]", self.images)

    @property
    def summary(self) -> str:
        return f"{super().summary}, {_listed_frames(self.pictures)}"


def _listed_frames(pictures: Mapping[int, object]) -> str:
    frames = ", ".join(map(str, pictures))
    return f"{'a picture' if len(pictures) == 1 else 'pictures'} of frame{'s'[: len(pictures) - 1]} {frames}"


def _read_keyframes(given: object, owner: str, row: Field) -> dict[int, Image.Image]:
    """Pictures by frames, in their order. Raises ParameterError."""
    if not isinstance(given, Mapping) or not given:
        raise ParameterError(f"{owner} has no keyframes: give it a picture for one frame or more, such as 0.")
    pictures = cast("Mapping[object, object]", given).items()
    read = {_read_frame_number(frame): _read_picture(row, picture) for frame, picture in pictures}
    return dict(sorted(read.items()))


def _read_frame_number(frame: object) -> int:
    """The number of a frame. Raises ParameterError."""
    number = plain_number(frame)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ParameterError(f"keyframe {shown(frame)} is no number of a frame, counted from 0.")
    return number


def _read_picture(row: Field, picture: object) -> Image.Image:
    read = row.read(read_picture_value(row, picture))
    if read is None:
        raise row.refuse(picture)
    return cast("Image.Image", read)


NETWORKS: tuple[type[Network], ...] = (ControlNet, SparseCtrl, IpAdapter)
"""The kinds there are."""
N = TypeVar("N", bound=Network)


def read_guides(settings: Mapping[str, object]) -> tuple[Network, ...]:
    """All networks among a clip's settings. Raises ParameterError."""
    return tuple(each for kind in NETWORKS for each in read_networks(kind, settings.get(kind.keyword)))


def read_networks(kind: type[N], value: object) -> tuple[N, ...]:
    """Networks of a kind: none for None, else one or several, each as such or as text.

    Raises ParameterError.
    """
    if value is None:
        return ()
    listed = as_list(value)
    return tuple(_read_network(kind, each) for each in ((value,) if listed is None else listed))


def parse_network(text: str, keyword: str) -> Mapping[str, object]:
    """What `FILE[:WEIGHT[:START-END]]` says, by the names of a network's settings. Raises ParameterError."""
    found = _NOTATION.fullmatch(text)
    said = {} if found is None else {key: part for key, part in found.groupdict().items() if part is not None}
    model = said.pop("model", "")
    # Behind a drive's letter a colon is a path's.
    if not model.strip() or (":" in model[:1] + model[2:] and not Path(model).exists()):
        raise ParameterError(
            f"{keyword} is {shown(text)}, but must be FILE, FILE:WEIGHT or FILE:WEIGHT:START-END, such as "
            "canny.safetensors:0.8:0-0.5."
        )
    return {"model": model, **{key: float(part) for key, part in said.items()}}


def _read_network(kind: type[N], value: object) -> N:
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        return kind(**cast("dict[str, Any]", parse_network(value, kind.keyword)))  # Any: each is checked
    return kind(cast("Path", value))
