"""One process, 200 clips where there is time: it holds no more at the end than after the first few."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.budget import rounds
from tests.hostile.hosts import FakeWebUI, Standalone
from tests.hosts.webui.conftest import host, module_folder, webui

__all__ = ["host", "module_folder", "webui"]  # fixtures
ROOT = Path(__file__).resolve().parents[2]
SEEN = (20, 100, 200)
ALLOWED_MIB = 25
"""Between the 20th and the last: what the allocator keeps differs by some MiB from run to run."""


def resident_mib() -> float:
    """What this process holds now."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def peak_of_a_clip(words: list[str]) -> float:
    """MiB that a whole command takes at most."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from standalone.command_line import main; "
    process = subprocess.Popen([sys.executable, "-c", f"{start} sys.exit(main(sys.argv[1:]))", *words])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="this system does not say what a process took")
def test_memory_of_a_clip_does_not_grow_with_its_length(checkpoint, module_file, tmp_path, record_property):
    models = ["--checkpoint", str(checkpoint), "--model", str(module_file), "--output", str(tmp_path)]
    small = ["--steps", "1", "--width", "64", "--height", "64", "--format", "GIF,MP4", "--quiet"]
    short, long = (
        peak_of_a_clip(["a circle", *models, *small, "--video-length", length]) for length in ("50", "500")
    )
    record_property("peak of 50 and 500 frames, MiB", f"{short:.0f}, {long:.0f}")
    assert long < 1.1 * short, (short, long)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux says what a process holds")
@pytest.mark.parametrize("kind", ["standalone", "a1111"])
def test_memory_is_flat_over_many_runs(kind, animator, request, tmp_path, record_property):
    if kind == "standalone":
        any_host: Standalone | FakeWebUI = Standalone(animator, tmp_path)
    else:
        any_host = FakeWebUI(request.getfixturevalue("webui"), "a1111")
    held: dict[int, float] = {}
    for number in rounds(request.config, 0.15, SEEN[-1]):
        any_host.run(quick=True)
        if number + 1 in SEEN:
            held[number + 1] = resident_mib()
    held[number + 1] = resident_mib()
    figures = ", ".join(f"after {number}: {mib:.0f}" for number, mib in held.items())
    record_property(f"memory of {kind}, MiB", figures)
    assert held[number + 1] - next(iter(held.values())) < ALLOWED_MIB, figures
