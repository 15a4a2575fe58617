"""A copy of this process, for what ends processes, hangs, or fills the memory: models stay loaded in it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

CRASHED, HUNG = 70, -1000
"""Statuses that no command line has: an exception came out of it, or no end was seen."""


@dataclass(frozen=True)
class Ending:
    """How a child ended: its exit status (a signal's number below zero), and what it said."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """What stands behind "error: " in its last line."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return lines[-1].removeprefix("error: ") if lines and lines[-1].startswith("error: ") else ""

    @property
    def said(self) -> list[str]:
        """All lines of the error stream but those of a bar."""
        lines = self.err.replace("\r", "\n").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("Sampling ")]


@dataclass
class Child:
    """One that is running."""

    pid: int
    files: tuple[Path, Path]
    status: int | None = None

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def says(self, words: str, seconds: float = 60) -> bool:
        """Wait until it has said that on one of its streams; whether it did."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(words in read(path) for path in self.files):
                return True
            if self.is_over():
                return False
            time.sleep(0.005)
        return False

    def is_over(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, seconds: float = 60) -> Ending:
        """Its end; one that does not end is ended."""
        end = time.monotonic() + seconds
        while self.status is None:
            found, code = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.status = os.waitstatus_to_exitcode(code)
            elif time.monotonic() > end:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                self.status = HUNG
            else:
                time.sleep(0.005)
        return Ending(self.status, *(read(path) for path in self.files))


@contextmanager
def started(work: Callable[[], int]) -> Iterator[Child]:
    """`work` in a child, its streams going to files; ended at the end, if it has not ended by then."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "out"), Path(folder, "err")
        for file in files:
            file.touch()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _be_child(work, files)
        child = Child(pid, files)
        try:
            yield child
        finally:
            child.wait(0)


def run(work: Callable[[], int], seconds: float = 60) -> Ending:
    """`work` in a child, to its end."""
    with started(work) as child:
        return child.wait(seconds)


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _be_child(work: Callable[[], int], files: tuple[Path, Path]) -> NoReturn:
    status = CRASHED
    try:
        os.setsid()
        torch.set_num_threads(1)  # the parent's threads are not in here, and would be waited for
        signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, shells ignore it
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this one
        for number, file in enumerate(files, 1):
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (as long as the process)
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        try:
            status = work()
        except SystemExit as ending:
            status = ending.code if isinstance(ending.code, int) else 1
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # said where the parent looks for it
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)
