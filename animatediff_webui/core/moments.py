"""Where in a source a part begins or ends, as the frame it means there."""

from __future__ import annotations

from fractions import Fraction

from .errors import ParameterError
from .positions import Moment, nearest_frame


def frame_at(moment: Moment, fps: Fraction | None, name: str) -> int:
    """The frame nearest to `moment` in a clip of `fps` (None: it has no rate); halves round up.

    Raises ParameterError, naming the parameter `name`, for a time in a clip without a rate.
    """
    if isinstance(moment, int):
        return moment
    if fps is None:
        raise ParameterError(
            f"{name} is {moment}, but a folder has no rate to count seconds by: give a frame, or set fps."
        )
    return nearest_frame(Fraction(moment.removesuffix("s")) * fps)
