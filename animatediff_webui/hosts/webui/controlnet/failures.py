"""What goes wrong in ControlNet, told to the user: the host logs what scripts raise, and goes on without."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

from animatediff_webui.core.errors import UserError, quoted, shown_text
from animatediff_webui.hosts.webui.host_types import Request
from animatediff_webui.hosts.webui.patches import telling, wrapped

from .peer import ControlNetScript, find_model, find_script, model_names

_PREPARING = ("process", "before_process_batch")
"""The callbacks in which it loads models and prepares pictures."""
_NO_MODEL = "model not found"
"""What it says of one, without its name."""


@contextmanager
def told_failures(p: Request, tell: Callable[[UserError], None]) -> Generator[None, None, None]:
    """Inside, `tell` gets a sentence for the error with which ControlNet fails to prepare its units."""
    script = find_script(p)
    if script is None:
        yield
        return

    def explain(error: Exception) -> None:
        sentence = UserError(_why_unprepared(script, error))
        sentence.__cause__ = error
        tell(sentence)

    with ExitStack() as stack:
        for name in _PREPARING:
            if hasattr(script, name):
                stack.enter_context(wrapped(script, name, telling(p, explain)))
        yield


def _why_unprepared(script: ControlNetScript, error: Exception) -> str:
    for number, unit in enumerate(script.enabled_units if _NO_MODEL in str(error) else ()):
        if unit.model != "None" and find_model(unit.model) is None:
            return (
                f"ControlNet's unit {number} has the model {shown_text(unit.model)}, which is not there: "
                f"choose one of {', '.join(model_names())}."
            )
    return (
        f"ControlNet could not prepare its units ({quoted(error)}): correct or disable them; the WebUI's log "
        "has the error."
    )
