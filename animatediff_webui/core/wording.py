"""How what somebody sent is shown in a message."""

from __future__ import annotations


def shown(value: object) -> str:
    """`value` for a message: its repr, cut where a picture or a novel was sent."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # a number of thousands of digits, lists inside lists without end
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 80 else text[:77] + "..."


def shown_text(text: str) -> str:
    """`text` for a message, unquoted: cut, on one line, without what no UTF-8 can say (half characters)."""
    line = " ".join(text[:100].split())
    short = line if len(line) <= 80 and len(text) <= 100 else line[:77] + "..."
    return short.encode("utf-8", "backslashreplace").decode("utf-8")


shown_key = shown_text
