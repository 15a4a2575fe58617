"""Pictures of some of a clip's frames: `0=first.png; 15=last.png`, or as JSON a list of objects with "frame"
and "image", which is base64, a data URL or a path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

from PIL import Image

from .errors import ParameterError, shown
from .image import encode_image
from .objects import read_object
from .positions import MAX_FRAME_NUMBER
from .received import is_received_file
from .written import Written

P = TypeVar("P")
Decode: TypeAlias = "Callable[[str], Image.Image]"
ALLOWED = (
    'pictures of frames such as "0=first.png; 15=last.png", or a list of objects such as {"frame": 0, '
    '"image": "first.png"}'
)
_KEYS = ("frame", "image")
_BETWEEN = re.compile(r"[;\n](?=\s*[0-9]+\s*=)|[;\n]\s*$")
"""A path may hold semicolons, too."""


@dataclass(frozen=True)
class Keyframe:
    """The picture of a frame: as such, or a path."""

    frame: int
    picture: Image.Image | str

    def __str__(self) -> str:
        picture = self.picture
        return f"{self.frame}={picture if isinstance(picture, str) else encode_image(picture)}"


@dataclass(frozen=True)
class Keyframes(Written):
    """The keyframes of a clip, in the order of its frames."""

    keyframes: tuple[Keyframe, ...] = ()

    def __str__(self) -> str:
        return "; ".join(map(str, self.keyframes))

    @property
    def json(self) -> object:
        return [{"frame": each.frame, "image": each.picture} for each in self.keyframes]

    def check(self, num_frames: int) -> None:
        """ParameterError for a keyframe that a clip does not have."""
        if self.keyframes and self.keyframes[-1].frame >= num_frames:
            raise ParameterError(
                f"Keyframe {self.keyframes[-1].frame} is past the last frame ({num_frames - 1}): use 0 to "
                f"{num_frames - 1}, or raise the number of frames."
            )


NO_KEYFRAMES = Keyframes()


def parse_keyframe(text: str, name: str) -> tuple[int, str]:
    """`FRAME=FILE`. Raises ParameterError, which calls it `name`."""
    frame, equals, picture = (part.strip() for part in text.partition("="))
    is_number = frame.isascii() and frame.isdigit() and _is_frame(int(frame[:20]))
    if not equals or not picture or not is_number:
        raise ParameterError(f"{name} is {shown(text)}, but must be FRAME=FILE, such as 0=first.png.")
    return int(frame), picture


def by_frame(pictures: Iterable[tuple[int, P]]) -> dict[int, P]:
    """Pictures by frames, in their order. ParameterError where two are of one."""
    found: dict[int, P] = {}
    for frame, picture in pictures:
        if frame in found:
            raise ParameterError(f"Keyframe {frame} is given twice: give each frame one picture.")
        found[frame] = picture
    return dict(sorted(found.items()))


def parse_keyframes(raw: object, name: str, decode: Decode) -> Keyframes:
    """The keyframes that a text or a list is; `decode` makes pictures of base64 and of data URLs.

    Raises ParameterError, which calls it `name`.
    """
    if isinstance(raw, Keyframes):
        return raw
    if isinstance(raw, str):
        entries = [entry for entry in _BETWEEN.split(raw) if entry.strip()]
        pairs: list[tuple[int, object]] = [parse_keyframe(entry, name) for entry in entries]
    elif isinstance(raw, (list, tuple)):
        pairs = [_read_object(each, name) for each in cast("Sequence[object]", raw)]
    else:
        raise _refused(raw, name)
    pictures = by_frame(pairs).items()
    return Keyframes(tuple(Keyframe(frame, _read_picture(each, name, decode)) for frame, each in pictures))


def spread_frames(count: int, taken: Sequence[int], num_frames: int) -> list[int]:
    """Frames for `count` more pictures of a clip, evenly between what is taken and the last frame."""
    last = num_frames - 1
    if not taken:
        return [0] if count == 1 else [round(place * last / (count - 1)) for place in range(count)]
    begin = max(taken)
    room = max(last - begin, count)
    return [begin + round(place * room / count) for place in range(1, count + 1)]


def _read_object(raw: object, name: str) -> tuple[int, object]:
    if not isinstance(raw, Mapping):
        raise _refused(raw, name)
    given = read_object(cast("Mapping[object, object]", raw), _KEYS, name)
    frame = given.get("frame")
    if not _is_frame(frame):
        raise ParameterError(f"{name} has the frame {shown(frame)}, but it must be a number, counted from 0.")
    return cast("int", frame), given.get("image")


def _read_picture(raw: object, name: str, decode: Decode) -> Image.Image | str:
    if isinstance(raw, Image.Image):
        return raw
    if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
        raise ParameterError(
            f"{name} has the image {shown(raw)}, but it must be base64, a data URL or a path."
        )
    return decode(raw) if is_received_file(raw) else raw


def _is_frame(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MAX_FRAME_NUMBER


def _refused(raw: object, name: str) -> ParameterError:
    return ParameterError(f"{name} is {shown(raw)}, but must be {ALLOWED}.")
