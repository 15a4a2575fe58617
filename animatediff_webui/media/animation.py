"""From frames to files: one pass over the frames, any number of formats, each failing for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import Image

from .errors import MediaError
from .infotext import clean_infotext
from .options import WriterOptions
from .store import FrameStore
from .temporary import completed
from .timing import exact_fps
from .writers import Clip, Format, format_named


@dataclass(frozen=True)
class WrittenFile:
    """One format's result: a complete file (PNG: a folder) at `path`, or the reason why there is none."""

    path: Path
    format: str
    mime: str
    error: str | None = None


def write_animation(
    frames: Iterable[Image.Image],
    stem: Path,
    formats: Sequence[str],
    *,
    fps: Fraction | float,
    loop_count: int = 0,
    infotext: str = "",
    options: WriterOptions | None = None,
    report: Callable[[WrittenFile], None] | None = None,
) -> list[WrittenFile]:
    """Write `frames` as every format in `formats`, to `stem` plus each format's suffix.

    `frames` are taken once, one at a time, and wait on disk beside the output (width * height * 3 bytes
    each), so memory does not grow with the clip's length. `loop_count` is how often the clip plays, 0 is
    forever. A format that fails has `.error`, and the others are written.

    Where `frames` raise, Ctrl-C included, the files are completed with the frames that came, and then the
    exception goes on. `report` is called with each result as it comes, so it learns of these files too.
    Raises MediaError, before a frame is taken, for unknown formats and impossible values, and at the end
    where no frame came.
    """
    chosen = tuple(dict.fromkeys(format_named(name) for name in formats))
    if not chosen:
        raise MediaError("No format was given to write: name at least one, such as GIF or MP4.")
    if loop_count < 0:
        raise MediaError(f"The loop count is {loop_count}, but must be 0 (forever) or more.")
    rate = exact_fps(fps)
    stem.parent.mkdir(parents=True, exist_ok=True)
    results: list[WrittenFile] = []
    with FrameStore(stem.parent) as store:
        interruption = store.fill(frames)
        clip = Clip(store, rate, loop_count, clean_infotext(infotext))
        for each in chosen if store else ():
            results.append(_written(clip, stem, each, options or WriterOptions()))
            if report:
                report(results[-1])
    if interruption:
        raise interruption
    if not results:
        raise MediaError("The clip has no frames: there is nothing to write.")
    return results


def _written(clip: Clip, stem: Path, wanted: Format, options: WriterOptions) -> WrittenFile:
    """Not `with_suffix`: a stem may hold dots of its own."""
    path = stem.with_name(stem.name + wanted.suffix)
    error = None
    try:
        with completed(path) as temporary:
            wanted.writer().write(clip, temporary, options)
    # What encoders raise: missing packages, refused values, full disks, and Pillow's own kinds.
    except (ImportError, OSError, RuntimeError, ValueError) as reason:
        error = f"{wanted.name} was not written: {reason}"
    return WrittenFile(path, wanted.name, wanted.mime, error)
