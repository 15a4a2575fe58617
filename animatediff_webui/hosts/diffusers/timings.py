"""What earlier runs took, to say what the next one will: a small file in the user's cache folder."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

KEPT_RUNS = 5


@dataclass(frozen=True)
class RunKey:
    """What a run's speed depends on."""

    model: str
    device: str
    dtype: str
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.model} {self.width}x{self.height} {self.device} {self.dtype}"


@dataclass(frozen=True)
class Estimate:
    """Seconds of sampling, and the most memory that runs like this one took, in bytes."""

    seconds: float
    peak_memory: int
    num_runs: int


def record_run(key: RunKey, frame_calls: int, seconds: float, peak_memory: int) -> None:
    """Remember a run that computed `frame_calls` frames in the UNet, where that can be written."""
    runs = _read()
    entry = {"seconds_per_frame": seconds / max(frame_calls, 1), "peak_memory": peak_memory}
    runs[str(key)] = [*runs.get(str(key), []), entry][-KEPT_RUNS:]
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(runs, indent=1), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return


def estimate_run(key: RunKey, frame_calls: int) -> Estimate | None:
    """What `frame_calls` will take, by the last runs of this kind; None where there were none."""
    runs = _read().get(str(key), [])
    if not runs:
        return None
    seconds = median(run["seconds_per_frame"] for run in runs) * frame_calls
    return Estimate(seconds, max(run["peak_memory"] for run in runs), len(runs))


def peak_memory(device: Any) -> int:
    """The most memory this process has used: the GPU's where one runs, else its own. (Any: a device.)"""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    # macOS counts bytes, other systems KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _path() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "animatediff-webui" / "timings.json"


def _read() -> dict[str, list[dict[str, Any]]]:
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or cut off: a guess is lost, nothing else
        return {}
    return found if isinstance(found, dict) else {}
