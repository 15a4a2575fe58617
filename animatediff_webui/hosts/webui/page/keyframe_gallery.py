"""The keyframe images on the page: what uploads add to their text, and how they look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.keyframes import Keyframe, Keyframes, spread_frames
from animatediff_webui.core.parameters import Parameters, parse_parameters
from animatediff_webui.core.plan import DEFAULT_CONTEXT_LENGTH
from animatediff_webui.media.readers.folder import read_picture

from .pieces import figure_html, warning_html


def with_uploads(text: str, files: Sequence[Path], num_frames: float | None, window: float | None) -> str:
    """The text with more pictures, one a line, spread over the rest of the clip.

    As it is where it cannot be read.
    `num_frames` and `window` are what the page has for the clip's length and the context batch size, empty or
    0 where it leaves them open.
    """
    try:
        keyframes = _read(text)
    except UserError:
        return text
    taken = [each.frame for each in keyframes.keyframes]
    length = int(num_frames or window or DEFAULT_CONTEXT_LENGTH)
    added = zip(spread_frames(len(files), taken, length), map(str, files), strict=True)
    return "\n".join(map(str, (*keyframes.keyframes, *(Keyframe(frame, file) for frame, file in added))))


def show_keyframes(text: str, readable: Callable[[str], Path]) -> str:
    """The pictures with their frames' numbers, as HTML; `readable` opens what may be named."""
    try:
        keyframes = _read(text).keyframes
        pictures = [figure_html(_picture(each, readable), f"frame {each.frame}") for each in keyframes]
    except UserError as error:
        return warning_html(str(error))
    if not pictures:
        return warning_html("There are no keyframe images: name some, or upload them.")
    return f'<div class="animatediff-source">{"".join(pictures)}</div>'


def _read(text: str) -> Keyframes:
    parameters: Parameters = parse_parameters({"keyframes": text})
    return parameters.source.keyframes


def _picture(keyframe: Keyframe, readable: Callable[[str], Path]) -> Image.Image:
    picture = keyframe.picture
    return read_picture(readable(picture)) if isinstance(picture, str) else picture
