"""`python3 standalone`: one sentence for every error, files and what they contain for every success."""

from __future__ import annotations

import sys
import traceback
import warnings
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, cast

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers.beta_schedules import BETA_SCHEDULE
from animatediff_webui.hosts.diffusers.files import read_output
from animatediff_webui.hosts.diffusers.image_settings import IMAGE_FIELDS
from animatediff_webui.hosts.diffusers.model_options import MODEL_FIELDS

from .guide_options import read_guides
from .interruption import Interruption, interruptible
from .options import ANIMATION_FIELDS, build_parser, read_command, read_prompt, said_values
from .streams import forgiving_streams

if TYPE_CHECKING:
    from animatediff_webui.hosts.diffusers.image_settings import ImageKeywords
    from animatediff_webui.hosts.diffusers.settings import ClipKeywords
    from animatediff_webui.session import Session
    from standalone.animator import Animator

Command: TypeAlias = Callable[[Interruption], int]
SUCCESS, OUR_ERROR, USER_ERROR = 0, 1, 2


def main(arguments: list[str]) -> int:
    """Run a sub-command; the exit status."""
    command, rest = read_command(arguments)
    with forgiving_streams():
        if command == "evaluate":
            return _reported(lambda _interruption: _evaluate(rest), verbose="--verbose" in rest)
        options = build_parser(command).parse_args(rest)
        run = _plan if command == "plan" else _generate
        return _reported(lambda interruption: run(options, interruption), verbose=options.verbose)


def _reported(run: Command, *, verbose: bool) -> int:
    """What `run` returns; its errors as one sentence, and whose they are as the status."""
    with interruptible() as interruption:
        try:
            return run(interruption)
        except KeyboardInterrupt:
            return _stopped(interruption)
        except Exception as error:  # the last place to put it into words
            if verbose:
                traceback.print_exc()
            if interruption.is_raised:
                return _stopped(interruption)
            if _is_users(error):
                print(f"error: {error}", file=sys.stderr)
                return USER_ERROR
            hint = "" if verbose else " Run it again with --verbose to see where."
            sentence = f"{type(error).__name__}: {error}"
            print(f"error: this should not happen ({sentence}).{hint}", file=sys.stderr)
            return OUR_ERROR


def _stopped(interruption: Interruption) -> int:
    print("Stopped; nothing was written.", file=sys.stderr)
    return interruption.exit_status


def _is_users(error: Exception) -> bool:
    """Motion modules' errors are the user's too; they need PyTorch, so they are looked up by then."""
    errors = sys.modules.get("motion_module.errors")
    return isinstance(error, (UserError, errors.MotionModuleError) if errors else UserError)


def _evaluate(arguments: list[str]) -> int:
    from demo_model.evaluation import main as evaluate

    return evaluate(arguments)


def _plan(options: Namespace, _interruption: Interruption) -> int:
    from animatediff_webui.hosts.diffusers.guides.settings import read_guides as read_networks
    from animatediff_webui.hosts.diffusers.plan_picture import write_plan
    from animatediff_webui.media.temporary import writable_folder

    prompt, settings = read_prompt(options.prompt), _settings(options)
    folder, animator = writable_folder(read_output(options.output, "--output")), _animator(options)
    plan = animator.plan(prompt, **settings)
    image = animator.image_settings(**_image_settings(options))
    networks = read_networks(settings)
    write_plan(plan, image.steps, animator.estimate(plan, image, networks), folder, networks)
    return SUCCESS


def _generate(options: Namespace, interruption: Interruption) -> int:
    from .progress import shown_progress
    from .saving import check_output, save_clip

    prompt, settings = read_prompt(options.prompt), _settings(options)
    folder, animator = read_output(options.output, "--output"), _animator(options)
    size = animator.frame_size(animator.image_settings(**_image_settings(options)))
    with shown_progress(folder, is_quiet=options.quiet) as (progress, preview):

        def start(session: Session) -> None:
            check_output(session, folder, size)
            interruption.watch(session, "window")
            progress.begin(session)

        clip = animator.generate(
            prompt,
            beta_schedule=cast("str", BETA_SCHEDULE.read(options.beta_schedule)),
            on_start=start,
            on_window=progress.advance,
            on_preview=preview.show if options.preview_every > 0 else None,
            preview_every=max(1, options.preview_every),
            **settings,
        )
        progress.end(clip.session)
    interruption.watch(clip.session, "frame")
    was_stopped = save_clip(clip, folder)
    for note in clip.notes:
        print(f"note: {note}", file=sys.stderr)
    if not options.quiet:
        print(f"Made in {clip.session.seconds:.1f} s.", file=sys.stderr)
    if was_stopped or interruption.number is not None:
        return interruption.exit_status
    return USER_ERROR if all(file.error for file in clip.session.files) else SUCCESS


def _animator(options: Namespace) -> Animator:
    """The animator with the command line's models; nothing is loaded yet."""
    from animatediff_webui.hosts.diffusers.loras import parse_lora_option
    from standalone.animator import Animator

    if not options.verbose:
        warnings.simplefilter("ignore")
    models = {field.name: getattr(options, field.name) for field in MODEL_FIELDS}
    return Animator(
        loras=[parse_lora_option(text) for text in options.lora],
        lora_folders=options.lora_dir,
        verbose=options.verbose,
        freeu=options.freeu,
        **models,
    )


def _settings(options: Namespace) -> ClipKeywords:
    """What was said of the picture, the animation and what steers it."""
    said = said_values(options, (*IMAGE_FIELDS, *ANIMATION_FIELDS))
    return cast("ClipKeywords", {**said, **read_guides(options)})


def _image_settings(options: Namespace) -> ImageKeywords:
    return cast("ImageKeywords", said_values(options, IMAGE_FIELDS))
