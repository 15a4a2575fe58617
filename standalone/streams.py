"""Standard output and error that cannot be written to: what they were to say is lost, and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TextIO, cast


class ForgivingStream:
    """A stream whose reader may be gone, whose disk may be full, and that may have no words for a letter."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            return self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def __getattr__(self, name: str) -> object:
        """Everything else, such as `isatty`, is the stream's."""
        return getattr(self._stream, name)

    def _give_up(self) -> None:
        """From now on into nothing: else Python tries again, and complains, when it ends."""
        with suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


@contextmanager
def forgiving_streams() -> Generator[None, None, None]:
    """Inside, nothing that is printed can end the run; what is closed takes all, and keeps nothing."""
    streams = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        # A stream is None where the process began with it closed, whatever its type says.
        sys.stdout, sys.stderr = (cast("TextIO", ForgivingStream(stream or nothing)) for stream in streams)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = streams
