"""Animated pictures, by Pillow: GIF, WEBP, APNG, AVIF."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from animatediff_webui.media.errors import UnreadableMediaError
from animatediff_webui.media.pillow_avif import avif_available

from .durations import read_durations
from .local import check_pixels, unreadable
from .source import StoredFrames
from .timeline import Timeline, build_timeline

_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
_TICKS = {"GIF": Fraction(1, 100), "PNG": Fraction(1, 10**6)}
_MILLISECOND = Fraction(1, 1000)
# What browsers do with frames that have no duration.
_DEFAULT_DURATION = Fraction(1, 10)


@contextmanager
def opened(path: Path) -> Generator[Image.Image | None, None, None]:
    """The picture, or None where the contents are of no format that may be animated."""
    formats = _FORMATS if avif_available() else _FORMATS[:-1]
    with unreadable(path):
        try:
            image = Image.open(path, formats=formats)
        except UnidentifiedImageError:
            image = None
        if image is None:
            yield None
        else:
            with image:
                yield image


def read_pictures(path: Path) -> StoredFrames | None:
    """The frames of an animated picture, or None where `path` is something else."""
    with opened(path) as image:
        if image is None:
            return None
        check_pixels(path, image.size)
        size, tick = image.size, _TICKS.get(str(image.format), _MILLISECOND)
        first = _first_frame(image)
        stored = read_durations(path, str(image.format)) or _decoded_durations(image)
    durations = [duration or _DEFAULT_DURATION for duration in stored]

    def read(places: Iterable[int]) -> Iterator[Image.Image]:
        return _frames(path, (first + place for place in places))

    return StoredFrames(
        path, size, len(durations), _timeline(durations, tick), read, is_still=len(durations) == 1
    )


def _timeline(durations: Sequence[Fraction], tick: Fraction) -> Timeline:
    ends = [round(end / tick) for end in accumulate(durations)]
    return build_timeline([0, *ends[:-1]], ends[-1], tick)


def _frames(path: Path, indices: Iterable[int]) -> Iterator[Image.Image]:
    with opened(path) as image:
        if image is None:
            raise UnreadableMediaError(f"{path} is no longer the picture it was: do not change it meanwhile.")
        for index in indices:
            image.seek(index)
            yield image.convert("RGB")


def _first_frame(image: Image.Image) -> int:
    """An APNG may begin with a picture for programs that know no animation: it is none of the frames."""
    return 1 if image.info.get("default_image") and getattr(image, "n_frames", 1) > 1 else 0


def _decoded_durations(image: Image.Image) -> list[Fraction]:
    """Seconds of each frame, as Pillow knows them once a frame is loaded: in milliseconds."""
    durations: list[Fraction] = []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        image.load()
        milliseconds = Fraction(image.info.get("duration", 0)).limit_denominator(10**6)
        durations.append(milliseconds / 1000)
    return durations
