"""What is shown of a video source before anything is generated: its first and last frame, and what fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from html import escape
from pathlib import Path

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.media.readers.source import FrameSource
from animatediff_webui.media.sources import ClipSource, opened_source

from .pieces import figure_html, warning_html

_SHAPE_TOLERANCE = 0.02


def preview_source(
    values: Mapping[str, object], size: tuple[int, int] | None, readable: Callable[[str], Path]
) -> str:
    """The chosen part of the source that these widgets name, as HTML.

    `size` is the clip's width and height, None where the page does not tell; `readable` opens what may be
    named.
    """
    try:
        parameters = parse_parameters(values)
        with opened_source(parameters, readable) as clip:
            if clip.frames is None:
                return warning_html("There is no video source: name a video or a folder, or upload one.")
            return _to_html(clip, clip.frames, _warnings(clip, size, parameters.output.fps))
    except UserError as error:
        return warning_html(str(error))


def _to_html(clip: ClipSource, frames: FrameSource, warnings: list[str]) -> str:
    last = len(frames) - 1
    pictures = [_frame_html(frames, 0, "first frame"), _frame_html(frames, last, "last frame")]
    rows = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in _facts(clip, frames))
    notes = "".join(map(warning_html, warnings))
    return f'<div class="animatediff-source">{"".join(pictures)}<table>{rows}</table></div>{notes}'


def _frame_html(frames: FrameSource, index: int, name: str) -> str:
    return figure_html(next(frames.read([index])), f"{name} ({frames.indices[index]})")


def _facts(clip: ClipSource, frames: FrameSource) -> list[tuple[str, str]]:
    facts = [
        ("File", frames.path.name),
        ("Size", f"{frames.size[0]} x {frames.size[1]}"),
        ("Frames", str(len(frames))),
    ]
    if frames.fps is not None and not frames.is_still:
        facts.append(("Rate", f"{_decimal(frames.fps)} a second"))
        facts.append(("Length", f"{_decimal(len(frames) / frames.fps)} s"))
        facts.append(("Sound", "yes" if clip.sound is not None else "none"))
    if clip.masks is not None:
        facts.append(("Masks", "one for all" if clip.masks.is_still else str(len(clip.masks))))
    return facts


def _warnings(clip: ClipSource, size: tuple[int, int] | None, fps: float | None) -> list[str]:
    """What does not fit."""
    warnings = [note for info in clip.infos for note in info.notes]
    frames = clip.frames
    if frames is None:
        return warnings
    width, height = frames.size
    if size is not None and abs(width * size[1] / (height * size[0]) - 1) > _SHAPE_TOLERANCE:
        warnings.append(
            f"The source is {width} x {height} and the clip {size[0]} x {size[1]}: frames are cropped or "
            "stretched, as the resize mode says. Choose a size of the same shape to keep them whole."
        )
    if fps is not None and frames.fps is not None and abs(float(frames.fps) - fps) > 1e-3:
        warnings.append(
            f"The source has {_decimal(frames.fps)} frames a second and FPS is {fps:g}: the clip plays at "
            "another speed, without the source's sound. Leave FPS empty to keep both."
        )
    if clip.masks is not None and not clip.masks.is_still and len(clip.masks) < len(frames):
        warnings.append(f"For {len(frames)} frames there are {len(clip.masks)} masks: so many are made.")
    return warnings


def _decimal(number: Fraction) -> str:
    return f"{float(number):.3f}".rstrip("0").rstrip(".")
