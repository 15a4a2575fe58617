"""Does the embedded model draw what it is told? A judge without a network, a list of prompts, a report."""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    """`python3 standalone evaluate`: draw, judge, print, and save contact sheets."""
    parser = argparse.ArgumentParser(prog="python3 standalone evaluate", description=__doc__)
    parser.add_argument("--clips", type=int, default=100, help="how many prompts (default: %(default)s)")
    parser.add_argument(
        "--without",
        type=int,
        default=25,
        help="how many of them again without the motion module (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("outputs/evaluation"), help="where contact sheets go"
    )
    parser.add_argument("--verbose", action="store_true", help="print every clip")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    _evaluate("with the motion module", None, options.clips, options.output, verbose=options.verbose)
    _evaluate("without the motion module", "none", options.without, options.output, verbose=options.verbose)
    print(f"\ncontact sheets: {options.output}")
    return 0


def _evaluate(title: str, motion_module: str | None, count: int, folder: Path, *, verbose: bool) -> None:
    from standalone.animator import Animator, quiet_libraries
    from standalone.evaluation.judge import judge_clip
    from standalone.evaluation.prompts import build_questions
    from standalone.evaluation.report import Answer, report
    from standalone.evaluation.sheets import draw_sheet

    rows = []
    answers: list[Answer] = []
    with quiet_libraries():
        animator = Animator(motion_module=motion_module)
        for question in build_questions(count):
            started = time.monotonic()
            frames = list(animator.generate(question.prompt, seed=question.seed).frames())
            answers.append(Answer(question, judge_clip(frames), time.monotonic() - started))
            rows.append((question.prompt, frames))
            if verbose:
                print(f"{question.prompt}: {answers[-1].seen}", flush=True)
    print(f"\n{title}, {count} prompts")
    for measure, value in report(answers):
        print(f"  {measure:<28}{value}")
    for index in range(0, len(rows), 10):
        name = f"{title.split()[0]}-{index // 10 + 1:02}.png"
        draw_sheet(rows[index : index + 10]).save(folder / name)
