"""Does the embedded model draw what it is told? A judge without a network, a list of prompts, a report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from animatediff_webui.hosts.diffusers.files import read_output
from animatediff_webui.media.temporary import writable_folder, written_picture

if TYPE_CHECKING:
    from PIL import Image

SUITES = (
    "prompts", "windows", "loops", "freeinit", "travel", "video", "control", "control-windows", "sparsectrl",
    "scale", "stop", "mask", "modules", "reference",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """`python3 standalone evaluate`: draw, judge, print, and save contact sheets."""
    options = build_parser().parse_args(arguments)
    folder = writable_folder(read_output(options.output, "--output"))
    if options.suite == "prompts":
        for with_motion, count in ((True, options.clips), (False, options.without)):
            _measure_prompts(with_motion, count, folder, verbose=options.verbose)
    else:
        _measure_suite(options.suite, options.seeds, folder)
    print(f"\ncontact sheets: {folder}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options of `evaluate`."""
    parser = argparse.ArgumentParser(prog="python3 standalone evaluate", description=__doc__)
    add = parser.add_argument
    add("--suite", choices=SUITES, default="prompts", help="what to measure (default: %(default)s)")
    add("--clips", type=_count, default=100, help="prompts: how many (default: %(default)s)")
    add("--without", type=_count, default=25,
        help="prompts: how many of them again without the motion module (default: %(default)s)")  # fmt: skip
    add("--seeds", type=_count, default=20, help="other suites: how many seeds (default: %(default)s)")
    add("--output", default="outputs/evaluation", help="where contact sheets go")
    add("--verbose", action="store_true", help="print every clip")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def _measure_prompts(with_motion: bool, count: int, folder: Path, *, verbose: bool) -> None:
    from animatediff_webui.hosts.diffusers.library_messages import quiet_libraries
    from demo_model.loading import load_animator

    from .judge import judge_clip
    from .prompts import build_questions
    from .report import Answer, report

    title = "with the motion module" if with_motion else "without the motion module"
    rows = []
    answers: list[Answer] = []
    with quiet_libraries():
        animator = load_animator(with_motion=with_motion)
        for question in build_questions(count):
            started = time.monotonic()
            frames = list(animator.generate(question.prompt, seed=question.seed).frames())
            answers.append(Answer(question, judge_clip(frames), time.monotonic() - started))
            rows.append((question.prompt, frames))
            if verbose:
                print(f"{question.prompt}: {answers[-1].seen}", flush=True)
    _print(f"{title}, {count} prompts", report(answers))
    _draw_sheets(rows, folder, title.split()[0])


def _measure_suite(name: str, count: int, folder: Path) -> None:
    from animatediff_webui.hosts.diffusers.library_messages import quiet_libraries
    from demo_model.loading import load_animator

    from .driven import SUITES as driven
    from .steered import SUITES as steered
    from .suites import SUITES as alone

    with quiet_libraries():
        found = {**alone, **driven, **steered}[name](load_animator(), count)
    _print(f"{name}, {count} seeds", found.lines)
    _draw_sheets(found.rows, folder, name)


def _print(title: str, lines: Sequence[tuple[str, str]]) -> None:
    print(f"\n{title}")
    width = max(len(measure) for measure, _ in lines) + 2
    for measure, value in lines:
        print(f"  {measure:<{width}}{value}")


def _draw_sheets(rows: Sequence[tuple[str, Sequence[Image.Image]]], folder: Path, name: str) -> None:
    from .sheets import draw_sheet

    for index in range(0, len(rows), 10):
        written_picture(draw_sheet(rows[index : index + 10]), folder / f"{name}-{index // 10 + 1:02}.png")
