"""What earlier runs took, to say what the next one will: a small file in the user's cache folder.

A convenience: whatever is wrong with the file, or with the place for it, costs a guess and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import torch

KEPT_RUNS = 5


@dataclass(frozen=True)
class RunKey:
    """What a run's speed depends on; `networks` are the kinds of those that steer it, one for each."""

    model: str
    device: str
    dtype: str
    width: int
    height: int
    networks: tuple[str, ...] = ()

    def __str__(self) -> str:
        steered = "".join(f" + {network}" for network in self.networks)
        return f"{self.model} {self.width}x{self.height} {self.device} {self.dtype}{steered}"


@dataclass(frozen=True)
class Run:
    """What a run took: seconds in the UNet for each frame, and the most memory, in bytes."""

    seconds_per_frame: float
    peak_memory: int


@dataclass(frozen=True)
class Estimate:
    """Seconds of sampling, and the most memory that runs like this one took, in bytes."""

    seconds: float
    peak_memory: int
    num_runs: int


def record_run(key: RunKey, frame_calls: int, seconds: float, peak_memory: int) -> None:
    """Remember a run that computed `frame_calls` frames in the UNet, where that can be written."""
    runs = _read_runs()
    run = Run(seconds / max(frame_calls, 1), peak_memory)
    runs[str(key)] = [*runs.get(str(key), []), run][-KEPT_RUNS:]
    content = {name: list(map(asdict, entries)) for name, entries in runs.items()}
    path = _path()
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        temporary.replace(path)
    except (OSError, ValueError):  # a full disk, a folder that may not be written, a name that is none
        return


def estimate_run(key: RunKey, frame_calls: int) -> Estimate | None:
    """What `frame_calls` will take, by the last runs of this kind; None where there were none."""
    runs = _read_runs().get(str(key), [])
    if not runs:
        return None
    seconds = [run.seconds_per_frame for run in runs]
    most_memory = max(run.peak_memory for run in runs)
    return Estimate(median(seconds) * frame_calls, most_memory, len(runs))


def peak_memory(device: torch.device) -> int:
    """The most memory this process has used: the GPU's where one runs, else its own."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    # macOS counts bytes, other systems KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _path() -> Path | None:
    """Where the file is; None for a user without a home."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    except RuntimeError:
        return None
    return Path(cache) / "animatediff-webui" / "timings.json"


def _read_runs() -> dict[str, list[Run]]:
    """What the file holds of runs by key; what is something else is passed over."""
    path = _path()
    try:
        content: object = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError, RecursionError):  # none yet, or cut off, or changed
        return {}
    if not isinstance(content, dict):
        return {}
    entries = cast("Mapping[str, object]", content)
    runs: dict[str, list[Run]] = {}
    for key, kept in entries.items():
        read = list(filter(None, map(_read_run, _list(kept))))
        if read:
            runs[key] = read
    return runs


def _list(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list) else ()


def _read_run(entry: object) -> Run | None:
    if not isinstance(entry, dict):
        return None
    values = cast("Mapping[str, object]", entry)
    seconds, memory = values.get("seconds_per_frame"), values.get("peak_memory")
    if not isinstance(seconds, (int, float)) or not isinstance(memory, int):
        return None
    is_possible = 0 <= seconds < _LONGEST and 0 <= memory < _LARGEST
    return Run(float(seconds), memory) if is_possible else None


_LONGEST, _LARGEST = 1e9, 2**63
