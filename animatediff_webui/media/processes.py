"""Other programs at work on frames: run by argument list, and ended with what uses them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .errors import MediaError

Explain: TypeAlias = "Callable[[str, int], MediaError]"
"""The error of a program that failed, by its log and its exit code."""
# Keeps console windows from popping up on Windows; the flag exists only there.
_FLAGS: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)


@contextmanager
def running(
    command: Sequence[str], stdin: int | IO[bytes], stdout: int | IO[bytes], explain: Explain
) -> Generator[subprocess.Popen[bytes], None, None]:
    """A program at work; what is raised inside ends it. Raises what `explain` says where it fails.

    A session of its own keeps a Ctrl-C in the terminal from it: the file it writes is completed. Its log
    goes to a file: nobody reads it meanwhile, and a full pipe would stop it.
    """
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=log, creationflags=_FLAGS, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        if process.wait():
            log.seek(0)
            raise explain(log.read().decode("utf-8", "replace"), process.returncode)


def streamed(
    command: Sequence[str], chunk_bytes: int, stdin: int | IO[bytes], explain: Explain
) -> Iterator[bytes]:
    """A program's output in chunks, each made when it is asked for; leaving early ends the program.

    Raises what `explain` says, after the chunks that came, where it fails.
    """
    with running(command, stdin, subprocess.PIPE, explain) as process:
        assert process.stdout is not None  # it was asked for as a pipe
        while len(chunk := process.stdout.read(chunk_bytes)) == chunk_bytes:
            yield chunk
