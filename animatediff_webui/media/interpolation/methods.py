"""The ways to put frames in between: one row each, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from PIL import Image

from animatediff_webui.media.errors import MediaError
from animatediff_webui.media.store import FrameStore

from .film import check_film, film_frames
from .models import InterpolationModels
from .motion import FRAMES_AHEAD, check_ffmpeg, compensated_frames
from .rife import check_rife, rife_frames

if TYPE_CHECKING:
    from animatediff_webui.core.parameters import InterpolationMethod

FramesBetween: TypeAlias = Callable[[FrameStore, int, InterpolationModels], Iterator[Image.Image]]
"""The frames of a store with factor - 1 new ones behind each, lazily."""


@dataclass(frozen=True)
class Method:
    """`check` raises MediaError where it cannot be done here. `frames_ahead` are those it needs behind the
    last one that it leads on from."""

    check: Callable[[InterpolationModels], None]
    frames: FramesBetween
    frames_ahead: int = 1


METHODS: Final[Mapping[InterpolationMethod, Method]] = {
    "Motion-compensated": Method(check_ffmpeg, compensated_frames, FRAMES_AHEAD),
    "RIFE": Method(check_rife, rife_frames),
    "FILM": Method(check_film, film_frames),
}
"""The other one that parameters know puts none there."""


def check_method(method: InterpolationMethod, models: InterpolationModels) -> None:
    """Raise MediaError where frames cannot be put in between in this way."""
    row = METHODS.get(method)
    if row is not None:
        row.check(models)


def interpolate(
    frames: Iterable[Image.Image],
    factor: int,
    *,
    method: InterpolationMethod = "Motion-compensated",
    models: InterpolationModels | None = None,
    looped: bool = False,
) -> Iterator[Image.Image]:
    """Each frame is followed by factor - 1 new ones on the way to the next: n frames become n * factor.

    The last frame leads back to the first if `looped`, and else stays. Play the result at factor times the
    rate for the same length, or at the same rate for slow motion. Frames that came in come out unchanged.
    They wait on disk until all are there; where they raise, what came is interpolated before the exception
    goes on. Raises MediaError where the method cannot do it.
    """
    if isinstance(factor, bool) or factor < 1:
        raise MediaError(f"The interpolation factor is {factor}, but must be a whole number of 1 or more.")
    row = METHODS.get(method)
    if factor == 1 or row is None:
        return iter(frames)
    return _interpolated(frames, factor, row, models or InterpolationModels(), looped)


def _interpolated(
    frames: Iterable[Image.Image], factor: int, method: Method, models: InterpolationModels, looped: bool
) -> Iterator[Image.Image]:
    with FrameStore() as store:
        interruption = store.fill(frames)
        num_frames = len(store)
        for ahead in range(method.frames_ahead if num_frames else 0):
            store.append(store.read(ahead % num_frames if looped else num_frames - 1))
        if num_frames:
            yield from islice(method.frames(store, factor, models), num_frames * factor)
    if interruption:
        raise interruption
