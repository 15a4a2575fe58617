"""`python3 standalone`: one sentence for every error, files and what they contain for every success."""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animatediff_webui.core.errors import UserError

from .options import animation_values, build_parser, read_command, read_prompt

if TYPE_CHECKING:
    from PIL import Image

    from animatediff_webui.hosts.diffusers.animator import Clip
    from animatediff_webui.media import WrittenFile
    from animatediff_webui.session import Session
    from standalone.animator import Animator

    PreviewListener = Callable[[Session, list[Image.Image]], None]

PREVIEW = "preview.gif"
SUCCESS, OUR_ERROR, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str]) -> int:
    """Run a sub-command; the exit status."""
    command, rest = read_command(arguments)
    if command == "evaluate":
        return _reported(lambda: _evaluate(rest), verbose="--verbose" in rest)
    options = build_parser(command).parse_args(rest)
    run = _plan if command == "plan" else _generate
    return _reported(lambda: run(options), verbose=options.verbose)


def _reported(run: Callable[[], int], *, verbose: bool) -> int:
    """What `run` returns; its errors as one sentence, and whose they are as the status."""
    try:
        return run()
    except KeyboardInterrupt:
        print("Stopped; nothing was made yet.", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # the last place to put it into words
        if verbose:
            traceback.print_exc()
        if _is_users(error):
            print(f"error: {error}", file=sys.stderr)
            return USER_ERROR
        hint = "" if verbose else " Run it again with --verbose to see where."
        print(f"error: this should not happen ({type(error).__name__}: {error}).{hint}", file=sys.stderr)
        return OUR_ERROR


def _is_users(error: Exception) -> bool:
    """Motion modules' errors are the user's too; they need PyTorch, so they are looked up by then."""
    errors = sys.modules.get("motion_module.errors")
    return isinstance(error, (UserError, errors.MotionModuleError) if errors else UserError)


def _evaluate(arguments: list[str]) -> int:
    from demo_model.evaluation import main as evaluate

    return evaluate(arguments) or SUCCESS


def _plan(options: Namespace) -> int:
    from .plan_picture import write_plan

    prompt, animation = read_prompt(options.prompt), animation_values(options)
    with _quiet(options.verbose):
        animator = _animator(options)
        plan = animator.plan(prompt, negative_prompt=options.negative_prompt, **animation)
        picture = animator.picture(**_picture(options))
        write_plan(plan, picture.steps, animator.estimate(plan, picture), options.output)
    return SUCCESS


def _generate(options: Namespace) -> int:
    prompt, animation = read_prompt(options.prompt), animation_values(options)
    with _quiet(options.verbose):
        animator = _animator(options)
        with (
            _progress(options.quiet) as (begin, advance),
            _preview(options.output / PREVIEW, quiet=options.quiet) as show,
            _stopping() as stop_on_interrupt,
        ):

            def start(session: Session) -> None:
                stop_on_interrupt(session)
                begin(session)

            clip = animator.generate(
                prompt,
                beta_schedule=options.beta_schedule,
                on_start=start,
                on_window=advance,
                on_preview=show if options.preview_every > 0 else None,
                preview_every=options.preview_every,
                **_picture(options),
                **animation,
            )
        return _save(clip, options)


def _animator(options: Namespace) -> Animator:
    """The animator with the command line's models; nothing is loaded yet."""
    from animatediff_webui.hosts.diffusers.checkpoint import ModelOptions
    from animatediff_webui.hosts.diffusers.loras import parse_lora_option
    from standalone.animator import Animator

    known = {field.name for field in fields(ModelOptions)}
    chosen = {name: value for name, value in vars(options).items() if name in known}
    if options.freeu is not None:
        chosen["freeu"] = tuple(options.freeu)
    chosen["motion_module"] = options.model
    loras = [parse_lora_option(text) for text in options.lora]
    return Animator(loras=loras, lora_folders=options.lora_dir, **chosen)


def _picture(options: Namespace) -> dict[str, Any]:
    from animatediff_webui.hosts.diffusers.image_settings import Picture

    said = {field.name: getattr(options, field.name) for field in fields(Picture)}
    return {name: value for name, value in said.items() if value is not None}


def _save(clip: Clip, options: Namespace) -> int:
    """Write the clip and say what was written; a Ctrl-C here keeps the frames that are decoded by then."""
    if clip.stopped_at_step is not None:
        step = f"step {clip.stopped_at_step} of {clip.session.num_steps}"
        print(f"Stopped at {step}: saving the clip as far as it is.", file=sys.stderr)
    try:
        clip.save(options.output)
        interrupted = clip.stopped_at_step is not None
    except KeyboardInterrupt:
        print("Stopped while writing: the files hold the frames that were ready.", file=sys.stderr)
        interrupted = True
    for file in clip.session.files:
        _describe(file, clip)
    for note in clip.notes:
        print(f"note: {note}", file=sys.stderr)
    if not options.quiet:
        print(f"Made in {clip.session.seconds:.1f} s.", file=sys.stderr)
    if interrupted:
        return INTERRUPTED
    return OUR_ERROR if all(file.error for file in clip.session.files) else SUCCESS


def _describe(file: WrittenFile, clip: Clip) -> None:
    if file.error is not None:
        print(f"error: {file.error}", file=sys.stderr)
        return
    plan = clip.plan
    beyond = file.path.name.endswith("-beyond")
    count = len(plan.extra_frames if beyond else plan.played_frames)
    facts = f"{count} frames, {clip.width} x {clip.height}, {float(plan.fps):g} fps, {plan.duration:.2f} s, "
    print(f"{file.path}  {facts}seed {clip.seed}", flush=True)


@contextmanager
def _progress(quiet: bool) -> Generator[tuple[Callable[[Session], None], Callable[..., None]], None, None]:
    """A bar over the UNet's window calls, on the error stream."""
    from tqdm import tqdm

    bars: list[Any] = []  # tqdm publishes no types

    def begin(session: Session) -> None:
        form = "{desc} {percentage:3.0f}% |{bar:30}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"
        bars.append(tqdm(total=session.total_windows, desc="Sampling", disable=quiet, bar_format=form))

    def advance(session: Session, _estimate: Any) -> None:
        bars[0].n = session.windows_begun
        bars[0].refresh()

    try:
        yield begin, advance
        if bars and not bars[0].disable:
            bars[0].update(bars[0].total - bars[0].n)
    finally:
        for bar in bars:
            bar.close()


@contextmanager
def _preview(path: Path, *, quiet: bool) -> Generator[PreviewListener, None, None]:
    """Shows rough frames as a GIF at `path`, which is replaced each time and gone afterwards."""
    from animatediff_webui.media import write_animation

    def show(session: Session, frames: list[Image.Image]) -> None:
        is_first = not path.exists()
        fps = len(frames) / (session.plan.num_frames / float(session.plan.fps))
        (file,) = write_animation(frames, path.with_suffix(""), ["GIF"], fps=fps)
        if is_first and not quiet and file.error is None:
            print(f"\nPreview while sampling: {path}", file=sys.stderr)

    try:
        yield show
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _stopping() -> Generator[Callable[[Session], None], None, None]:
    """Inside, the first Ctrl-C stops the session before its next window; the second stops at once."""
    sessions: list[Session] = []
    previous = signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: Any) -> None:
        if not sessions or sessions[0].is_stopping:
            raise KeyboardInterrupt
        sessions[0].stop()
        print("\nStopping after this window; press Ctrl-C again to stop at once.", file=sys.stderr)

    try:
        signal.signal(signal.SIGINT, stop)
    except ValueError:  # not in the main thread: then nobody presses Ctrl-C here
        yield sessions.append
        return
    try:
        yield sessions.append
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _quiet(verbose: bool) -> Generator[None, None, None]:
    """Inside, libraries keep their advice to themselves, unless asked for."""
    if verbose:
        yield
        return
    from animatediff_webui.hosts.diffusers.animator import quiet_libraries

    with warnings.catch_warnings(), quiet_libraries():
        warnings.simplefilter("ignore")
        yield
