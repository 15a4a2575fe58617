"""Signals at any moment: a whole file or none, and the next run goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
import time
from random import Random

import pytest

from animatediff_webui.media import read_frames, read_infotext
from tests.hostile import child
from tests.hostile.budget import rounds
from tests.hostile.conftest import finals, leftovers

LONG = ("--video-length", "12", "--steps", "4", "--format", "GIF,MP4,PNG,TXT", "--preview-every", "2")
PLAYED = 12
"""Frames of it."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STOPPED = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


def check_files(folder) -> None:
    """What has its name is whole."""
    for path in finals(folder):
        if path.suffix in (".gif", ".mp4"):
            frames = list(read_frames(path))
            assert len(frames) > 0
            infotext = read_infotext(path) or ""
            assert len(frames) == PLAYED or "interrupted" in infotext, (path, len(frames))
        elif path.suffix == ".png":
            path.read_bytes()


def age(folder) -> None:
    """Claims as old as those of a run that began an hour ago."""
    for path in leftovers(folder):
        os.utime(path, (time.time() - 3600,) * 2)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)
def test_at_random_moments(number, generate, tmp_path, request, record_property):
    random, statuses, started = Random(int(number)), [], time.monotonic()
    assert child.run(generate("--output", tmp_path, *LONG)).status == 0
    length = time.monotonic() - started
    for _ in rounds(request.config, 0.04, 200):
        with child.started(generate("--output", tmp_path, *LONG)) as run:
            time.sleep(random.uniform(0, length))
            run.send(number)
            ending = run.wait(30)
        statuses.append(ending.status)
        assert ending.status in (0, -number, STOPPED.get(number)), ending
        assert "Traceback" not in ending.err
        check_files(tmp_path)
        if number != signal.SIGKILL:
            assert leftovers(tmp_path) == [], ending
    age(tmp_path)
    assert child.run(generate("--output", tmp_path)).status == 0
    assert leftovers(tmp_path) == []
    times, whole = len(statuses), len(finals(tmp_path))
    record_property(signal.Signals(number).name, f"{times} times, {whole} files, all of them whole")
