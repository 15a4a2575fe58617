"""What comes before the first step: imports in a new process, and a module's way from its file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.results import Result
from motion_module.loading import load_motion_module
from motion_module.module import MotionModule
from motion_module.spec import MotionModuleSpec
from motion_module.writing import write_motion_module

FULL_WIDTHS = (320, 640, 1280, 1280)
TOY_WIDTHS = (32, 64, 64, 64)
IMPORTS = {"torch alone": "import torch", "motion_module": "import torch, motion_module"}


def run(options: Options) -> Iterator[Result]:
    """Imports beside PyTorch's own, loading beside reading the file's bytes."""
    imports = {name: _import_time(code, options.rounds) for name, code in IMPORTS.items()}
    seconds = imports["torch alone"]
    figures = {"s": seconds, "ours, s": imports["motion_module"]}
    yield Result("start-up", "import", "torch alone", imports["motion_module"] / seconds, figures)
    with tempfile.TemporaryDirectory() as folder:
        yield _compare_loading(Path(folder) / "module.safetensors", options)


def _import_time(code: str, rounds: int) -> float:
    """CPU seconds of a new process, the least of all."""
    timed = f"import time\n{code}\nprint(time.process_time())"
    command = [sys.executable, "-c", timed]
    printed = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(rounds)]
    return min(float(line.stdout) for line in printed)


def _compare_loading(path: Path, options: Options) -> Result:
    spec = MotionModuleSpec(widths=TOY_WIDTHS if options.toy else FULL_WIDTHS)
    write_motion_module(MotionModule(spec), path)
    subjects = {"ours": lambda: load_motion_module(path), "bytes": path.read_bytes}
    timings = alternate(subjects, options.rounds)
    figures = {"s": timings["bytes"].seconds, "ours, s": timings["ours"].seconds}
    case = f"load_motion_module, {path.stat().st_size / 2**20:.0f} MiB"
    ratio = timings["ours"].seconds / timings["bytes"].seconds
    return Result("start-up", case, "reading the bytes", ratio, figures)
