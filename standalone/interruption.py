"""Ctrl-C, and the signal by which systems end programs: the first stops a clip so that it is kept."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animatediff_webui.session import Session

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The last one, where there is one, comes when a terminal is closed."""
BY_SIGNAL = 128


@dataclass
class Interruption:
    """Which signal came last, None for none; what it stops, and after what."""

    number: int | None = None
    session: Session | None = None
    unit: str = "window"
    is_asked: bool = False
    is_raised: bool = False
    """Whether KeyboardInterrupt was raised; a library that it hits may turn it into an error of its own."""

    @property
    def exit_status(self) -> int:
        """That of a program which a signal ended."""
        return BY_SIGNAL + (self.number or signal.SIGINT)

    def watch(self, session: Session, unit: str) -> None:
        """From now on, the first signal stops the session after a unit of its work, the second at once."""
        self.session, self.unit, self.is_asked = session, unit, False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """What the system calls."""
        self.number = number
        if self.session is None or self.is_asked:
            self.is_raised = True
            raise KeyboardInterrupt
        self.is_asked = True
        self.session.stop()
        # Not print: the signal may have come in the middle of one, which is then not to be entered again.
        with suppress(OSError):
            os.write(2, f"\nStopping after this {self.unit}; press Ctrl-C again to stop at once.\n".encode())


@contextmanager
def interruptible() -> Generator[Interruption, None, None]:
    """Inside, signals go to what is yielded; before a session is watched, they raise KeyboardInterrupt.

    Those that this process was started to ignore, as nohup does, stay ignored.
    """
    interruption = Interruption()
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        previous = {number: signal.signal(number, interruption.handle) for number in heard}
    except ValueError:  # not in the main thread: then no signal arrives here
        yield interruption
        return
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
