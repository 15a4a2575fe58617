"""From frames to files: one pass over the frames, any number of formats, each failing for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from PIL import Image

from animatediff_webui.core.formats import PNG_FRAMES, Format
from animatediff_webui.core.frame_rate import exact_fps
from animatediff_webui.core.notes import add_note

from .errors import MediaError, WritingStoppedError
from .infotext import clean_infotext
from .options import WriterOptions
from .sound import Sound
from .store import FrameStore
from .temporary import completed
from .writers import Animation, format_named, writer_of


@dataclass(frozen=True)
class WrittenFile:
    """One format's result: a complete file (PNG: a folder) at `path`, or the reason why there is none.

    `num_frames` are the frames it plays, fewer than planned where the clip was interrupted.
    """

    path: Path
    format: str
    mime: str
    error: str | None = None
    num_frames: int = 0


@dataclass(frozen=True)
class Playback:
    """Which of the frames that come are shown.

    `played`: their indices in the order of play; None is all of them. `beyond`: those that are not part of
    the animation, and are saved as PNGs where no other format holds them. `between` puts frames in between
    those that are played; formats that hold every frame as it came have none of these.
    """

    played: Sequence[int] | None = None
    beyond: Sequence[int] = ()
    between: Callable[[Iterable[Image.Image]], Iterator[Image.Image]] | None = None


@dataclass(frozen=True)
class _Output:
    """One file to write, and the frames it shows; None is all. `has_between`: those in between, too."""

    format: Format
    path: Path
    indices: Sequence[int] | None
    has_between: bool = False


def write_animation(
    frames: Iterable[Image.Image],
    stem: Path,
    formats: Sequence[str],
    *,
    fps: Fraction | float,
    playback: Playback | None = None,
    loop_count: int = 0,
    infotext: str = "",
    options: WriterOptions | None = None,
    sound: Sound | None = None,
    report: Callable[[WrittenFile], None] = lambda written: None,
) -> list[WrittenFile]:
    """Write `frames` as every format in `formats`, to `stem` plus each format's suffix.

    `frames` are taken once, one at a time, and wait on disk (width * height * 3 bytes each), so memory does
    not grow with the clip's length. `loop_count` is how often the clip plays, 0 is forever. `sound` goes into
    the formats that can have any. A format that fails has `.error`, and the others are written.

    Where `frames` raise, Ctrl-C included, the files are completed with the frames that came, their infotext
    says so, and then the exception goes on; a Ctrl-C while a file is being written waits for the files, a
    second one does not. `report` is called with each result as it comes, so it learns of these files too.
    Raises UserError, before a frame is taken, for unknown formats and impossible values, and at the end
    where no frame came.
    """
    playback = playback or Playback()
    outputs = _outputs(stem, formats, playback)
    if loop_count < 0:
        raise MediaError(f"The loop count is {loop_count}, but must be 0 (forever) or more.")
    rate, chosen = exact_fps(fps), options or WriterOptions()
    stem.parent.mkdir(parents=True, exist_ok=True)
    with FrameStore(stem.parent) as store, FrameStore(stem.parent) as between:
        interruption = store.fill(frames)
        if interruption is not None:
            infotext = add_note(infotext, f"interrupted after {len(store)} frames")
        animation = Animation(
            store.selected(range(len(store))), rate, loop_count, clean_infotext(infotext), sound
        )
        clips = (animation, *_with_frames_between(animation, playback, between))
        to_write = outputs if store else ()
        results, interruption = _write_all(to_write, clips, chosen, interruption, report)
    if interruption is not None:
        raise interruption
    if not results:
        raise MediaError("The clip has no frames: there is nothing to write.")
    return results


def _write_all(
    outputs: Sequence[_Output],
    animations: tuple[Animation, Animation, BaseException | None],
    options: WriterOptions,
    interruption: BaseException | None,
    report: Callable[[WrittenFile], None],
) -> tuple[list[WrittenFile], BaseException | None]:
    """The results, and what interrupted, before or meanwhile.

    `animations` are the clip as it came, the one with frames in between, and what ended the making of these.
    """
    animation, shown, problem = animations
    failure = problem if isinstance(problem, Exception) else None
    if isinstance(failure, WritingStoppedError):
        failure = None
    interruption = interruption or (None if failure else problem)
    results: list[WrittenFile] = []
    for output in outputs:
        if output.has_between and failure:
            written, pressed = _failed(output, failure), None
        else:
            whole = shown if output.has_between else animation
            written, pressed = _written_despite_ctrl_c(whole, output, options, interruption)
        interruption = interruption or pressed
        results.append(written)
        report(written)
    return results, interruption


def _with_frames_between(
    animation: Animation, playback: Playback, store: FrameStore
) -> tuple[Animation, BaseException | None]:
    """The animation with frames in between, which `store` keeps, and what ended the making of them."""
    if playback.between is None or not animation.frames:
        return animation, None
    played = range(len(animation.frames)) if playback.played is None else playback.played
    problem = store.fill(playback.between(animation.frames.selected(played)))
    infotext = animation.infotext
    if isinstance(problem, WritingStoppedError):
        infotext = add_note(infotext, f"interrupted after {len(store)} frames")
    shown = replace(animation, frames=store.selected(range(len(store))), infotext=infotext)
    return shown, problem


def _failed(output: _Output, reason: Exception) -> WrittenFile:
    error = f"{output.format.name} was not written: {reason}"
    return WrittenFile(output.path, output.format.name, output.format.mime, error)


def _written_despite_ctrl_c(
    animation: Animation, output: _Output, options: WriterOptions, interruption: BaseException | None
) -> tuple[WrittenFile, KeyboardInterrupt | None]:
    """The result, and the Ctrl-C that came meanwhile: the first one only, another one is raised."""
    try:
        return _written(animation, output, options), None
    except KeyboardInterrupt as pressed:
        if interruption is not None:
            raise
        return _written(animation, output, options), pressed


def _outputs(stem: Path, formats: Sequence[str], playback: Playback) -> list[_Output]:
    """Not `with_suffix`: a stem may hold dots of its own."""
    named = tuple(dict.fromkeys(format_named(name) for name in formats))
    if not named:
        raise MediaError("No format was given to write: name at least one, such as GIF or MP4.")
    outputs: list[_Output] = []
    for output_format in named:
        has_between = playback.between is not None and not output_format.holds_every_frame
        indices = None if output_format.holds_every_frame or has_between else playback.played
        path = stem.with_name(stem.name + output_format.suffix)
        outputs.append(_Output(output_format, path, indices, has_between))
    if playback.beyond and PNG_FRAMES not in named:
        outputs.append(_Output(PNG_FRAMES, stem.with_name(f"{stem.name}-beyond"), playback.beyond))
    return outputs


def _written(animation: Animation, output: _Output, options: WriterOptions) -> WrittenFile:
    shown = animation.frames if output.indices is None else animation.frames.selected(output.indices)
    error = None if shown else f"{output.format.name} was not written: none of its frames was ready."
    try:
        if shown:
            with completed(output.path) as temporary:
                writer_of(output.format).write(replace(animation, frames=shown), temporary, options)
    except Exception as reason:  # of any kind, as encoders slip in ways of their own: the others are kept
        error = f"{output.format.name} was not written: {reason or type(reason).__name__}"
    return WrittenFile(output.path, output.format.name, output.format.mime, error, len(shown))
