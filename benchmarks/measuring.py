"""How long something takes and how much memory, when others use the machine, too."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Of several rounds: the least and the median wall time, and the least time of all cores, in seconds.

    What processes took that were started and ended meanwhile, such as ffmpeg, counts.
    """

    seconds: float
    median: float
    cpu_seconds: float


def alternate(subjects: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Run the subjects in turn, one round after the other, after a first one that is not counted."""
    walls: dict[str, list[float]] = {name: [] for name in subjects}
    cpus: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, run in subjects.items():
            wall, cpu = _time(run)
            if number:
                walls[name].append(wall)
                cpus[name].append(cpu)
    return {
        name: Timing(min(walls[name]), statistics.median(walls[name]), min(cpus[name])) for name in subjects
    }


def _time(run: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), _cpu_time()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, _cpu_time() - cpu


def _cpu_time() -> float:
    times = os.times()  # its own time, too, but in hundredths of a second
    return time.process_time() + times.children_user + times.children_system


def peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """What a run takes at most, beyond what was taken before it.

    On CPUs it is measured for the whole process, of which a part is what was freed before: call it in a new
    one. Raises OSError where there is no /proc.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts again from what is taken now
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    with open(f"/proc/{os.getpid()}/status") as file:
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) * 1024
