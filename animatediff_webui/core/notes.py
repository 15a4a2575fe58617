"""What an infotext says of a clip's making: a field of its own, beside that of the parameters."""

from __future__ import annotations

NOTE_KEY = "AnimateDiff note"
"""What happened on the way, such as an interruption."""


def add_note(infotext: str, note: str) -> str:
    """An infotext with a note on how the clip came about; one that is empty stays so."""
    return f"{infotext}, {NOTE_KEY}: {note}" if infotext else infotext
