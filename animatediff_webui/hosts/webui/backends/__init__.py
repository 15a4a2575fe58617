"""What differs between the WebUI and its forks: one adapter for each kind of model, found by its features."""

from __future__ import annotations

from collections.abc import Callable

from animatediff_webui.core.errors import UserError

from . import backend, ldm, ldm_patched
from .adapter import Backend

_ADAPTERS: tuple[Callable[[object], Backend | None], ...] = (backend.adapt, ldm_patched.adapt, ldm.adapt)
"""In this order: the models of the forks also look like those that they came from."""


def find_backend(model: object) -> Backend:
    """The adapter for a checkpoint in memory.

    Raises UserError where there is none, and MotionModuleError for one that no motion module fits.
    """
    for adapt in _ADAPTERS:
        backend = adapt(model)
        if backend is not None:
            return backend
    raise UserError("No checkpoint is loaded: choose an SD1.5 or SDXL checkpoint.")
