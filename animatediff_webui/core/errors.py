"""The errors of the core: the user can mend all of them, so each is one sentence that says how.

What a sentence quotes is shown by `shown` and `shown_text`, however long or strange it is.
"""

from __future__ import annotations


class UserError(ValueError):
    """The request cannot be carried out as asked; the message says what was found and what to do."""


class ParameterError(UserError):
    """A parameter has an unknown name, a wrong type or a value that is not allowed."""


class PromptTravelError(UserError):
    """A prompt schedule is malformed; the message names the line."""


class LoraTagError(UserError):
    """A LoRA tag of a prompt cannot be read."""


class InfotextError(UserError):
    """The animation's field of an infotext cannot be read."""


class ScheduleError(UserError):
    """A schedule of numbers is malformed; the message is the part of a sentence that follows its name."""


def shown(value: object) -> str:
    """`value` for a message: its repr, cut where a picture or a novel was sent."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # a number of thousands of digits, lists inside lists without end
        return f"too large to show, of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


def quoted(error: Exception) -> str:
    """Somebody else's error for a message."""
    return shown_text(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def shown_text(text: str) -> str:
    """`text` for a message, unquoted: cut, on one line, without what no UTF-8 can say (half characters)."""
    line = " ".join(text[:100].split())
    short = line if len(line) <= 80 and len(text) <= 100 else line[:77] + "..."
    return short.encode("utf-8", "backslashreplace").decode("utf-8")
