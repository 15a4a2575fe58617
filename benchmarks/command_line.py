"""What `python3 benchmarks` takes, and the order in which it measures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.chart import to_svg
from benchmarks.options import Options
from benchmarks.results import Result, to_table, write_json

BENCHMARKS = ("layers", "steps", "clips", "memory", "lengths", "startup", "writers", "reading", "webuis")
"""Modules of this folder, each with a `run`; imported when they are run."""
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

DEFAULTS = Options()


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and write JSON and the chart."""
    chosen = build_parser().parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    options = Options(
        device=torch.device(chosen.device),
        dtype=DTYPES[chosen.dtype],
        rounds=chosen.rounds,
        bases=tuple(chosen.base or DEFAULTS.bases),
        clips=tuple(chosen.clips or DEFAULTS.clips),
        frames=tuple(chosen.frames or DEFAULTS.frames),
        shrink=chosen.shrink,
        urls=tuple(chosen.url),
        model=chosen.model,
        toy=chosen.toy,
    )
    results: list[Result] = []
    try:
        for name in chosen.only or BENCHMARKS:
            for result in _run_of(name)(options):
                print(to_table([result]).splitlines()[-1], file=sys.stderr, flush=True)
                results.append(result)
    finally:
        print(to_table(results))
        write_json(results, chosen.out)
        chosen.out.with_suffix(".svg").write_text(to_svg(results))
    return 0


def _run_of(name: str) -> Callable[[Options], Iterator[Result]]:
    return import_module(f"benchmarks.{name}").run


def build_parser() -> argparse.ArgumentParser:
    """The options; each has a default that a CPU can run."""
    parser = argparse.ArgumentParser(
        prog="python3 benchmarks", description="Measure side by side with peers."
    )
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="one of them; may be repeated")
    parser.add_argument("--device", default="cpu", help="where layers run (default: %(default)s)")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--rounds", type=int, default=7, help="of each, in turn (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of PyTorch; 1 is steadiest on a busy machine")
    parser.add_argument("--base", action="append", choices=DEFAULTS.bases, help="only layers of this one")
    parser.add_argument("--clips", action="append", type=int, help="in a batch (default: 1 and 2)")
    parser.add_argument("--frames", action="append", type=int, help="of a clip (default: 8, 16, 24 and 32)")
    parser.add_argument(
        "--shrink", type=int, default=1, help="2: layers at 256x256 pixels in place of 512x512"
    )
    parser.add_argument("--url", action="append", default=[], help="of two WebUIs; ours is the first")
    parser.add_argument("--model", default=DEFAULTS.model, help="a motion module that both WebUIs have")
    parser.add_argument("--toy", action="store_true", help="tiny sizes, to see whether everything runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks.json"), help="the chart is beside it")
    return parser
