"""What was measured, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch


@dataclass(frozen=True)
class Result:
    """One subject in one case; `ratio` is ours over the subject's, below 1 where ours takes less.

    `figures` are whatever was measured, by name with the unit. `error` is how far the subject's output is
    from ours, relative to the largest value.
    """

    benchmark: str
    case: str
    subject: str
    ratio: float
    figures: dict[str, float] = field(default_factory=dict)
    error: float | None = None


def machine() -> dict[str, str | int]:
    """What the figures are of."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    for line in cpuinfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def to_table(results: Sequence[Result]) -> str:
    """Markdown, one line a result."""
    lines = ["| benchmark | case | beside | ours takes | figures | differs by |", "|---|---|---|---|---|---|"]
    for result in results:
        figures = ", ".join(f"{name} {value:.3g}" for name, value in result.figures.items())
        error = "" if result.error is None else f"{result.error:.0e}"
        cells = (result.benchmark, result.case, result.subject, f"{result.ratio:.2f}x", figures, error)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_json(results: Sequence[Result], path: Path) -> None:
    """The machine and all figures."""
    document = {"machine": machine(), "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(document, indent=1) + "\n")
