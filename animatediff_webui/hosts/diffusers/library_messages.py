"""Warnings, advice and progress bars of the libraries: not for our users, who did not ask for them."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Protocol, cast


class LibraryLogging(Protocol):
    """What diffusers and transformers offer alike."""

    def get_verbosity(self) -> int: ...
    def set_verbosity(self, verbosity: int) -> None: ...
    def is_progress_bar_enabled(self) -> bool: ...
    def enable_progress_bar(self) -> None: ...
    def disable_progress_bar(self) -> None: ...


class _Silence:
    """How many blocks want silence; what was before comes back with the last of them.

    Levels and filters are the whole process's: two threads that each saved and restored them would leave them
    as the other had them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._undo = ExitStack()

    def begin(self) -> None:
        with self._lock:
            if self._count == 0:
                self._undo = _silenced()
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._undo.close()


_SILENCE = _Silence()


@contextmanager
def quiet_libraries(is_quiet: bool = True) -> Generator[None, None, None]:
    """Inside, diffusers and transformers say nothing that they do not raise, and Python warns of nothing."""
    if not is_quiet:
        yield
        return
    _SILENCE.begin()
    try:
        yield
    finally:
        _SILENCE.end()


def _silenced() -> ExitStack:
    """Silence; closing what is returned ends it."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    stack = ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for module in (diffusers_logging, transformers_logging):
        library = cast("LibraryLogging", module)
        stack.callback(library.set_verbosity, library.get_verbosity())
        stack.callback(_restore(library))
        library.set_verbosity(logging.CRITICAL)  # what is an error is raised, too, and said by us
        library.disable_progress_bar()
    return stack


def _restore(library: LibraryLogging) -> Callable[[], None]:
    was_enabled = library.is_progress_bar_enabled()
    return library.enable_progress_bar if was_enabled else library.disable_progress_bar
