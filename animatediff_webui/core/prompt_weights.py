"""Weights in prompts, as the WebUI reads them: `(more)`, `(much more:1.5)`, `[less]`, and BREAK.

`(x)` counts 1.1 times, `[x]` 1/1.1 times, `(x:1.5)` 1.5 times; brackets inside of brackets multiply. A
bracket that is never closed counts up to the end, one that was never opened is text, and so is one behind a
backslash; backslashes themselves are left out, but for two in a row, which are one. What follows BREAK is
encoded apart from what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FACTOR = 1.1
"""Of a bracket without a number."""
_PIECE = re.compile(
    r"\\(?P<escaped>[()\[\]\\]?)"
    r"|(?P<opened>[(\[])"
    r"|:\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)"
    r"|(?P<closed>[)\]])"
    r"|[^\\()\[\]:]+|.",
    re.DOTALL,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_OPENING = {")": "(", "]": "["}
_FACTORS = {"(": FACTOR, "[": 1 / FACTOR}


@dataclass(frozen=True)
class WeightedText:
    """A part of a prompt, and how many times it counts."""

    text: str
    weight: float = 1.0


class _Parts:
    """The parts read so far, and where the brackets that are still open begin; a part of None is BREAK."""

    def __init__(self) -> None:
        self.parts: list[tuple[str | None, float]] = []
        self._open: dict[str, list[int]] = {bracket: [] for bracket in _FACTORS}

    def add(self, text: str) -> None:
        """Text without brackets, with BREAK in it."""
        for number, part in enumerate(_BREAK.split(text)):
            if number:
                self.parts.append((None, 1.0))
            self.parts.append((part, 1.0))

    def open(self, bracket: str) -> None:
        self._open[bracket].append(len(self.parts))

    def close(self, bracket: str, factor: float) -> bool:
        """Multiply what stands in the last bracket of this kind; False where none is open."""
        if not self._open[bracket]:
            return False
        start = self._open[bracket].pop()
        self.parts[start:] = [(text, weight * factor) for text, weight in self.parts[start:]]
        return True

    def close_all(self) -> None:
        for bracket, factor in _FACTORS.items():
            while self.close(bracket, factor):
                pass


def parse_weights(prompt: str) -> list[list[WeightedText]]:
    """The parts of a prompt with their weights, neighbours of different ones; a list for what stands between
    two BREAKs. There is no text that is not allowed."""
    parts = _Parts()
    for piece in _PIECE.finditer(prompt):
        if piece["escaped"] is not None:
            parts.parts.append((piece["escaped"], 1.0))
        elif piece["opened"]:
            parts.open(piece["opened"])
        elif not _closes(piece, parts):
            parts.add(piece[0])
    parts.close_all()
    return _joined(parts.parts)


def _closes(piece: re.Match[str], parts: _Parts) -> bool:
    """Whether a piece ends a bracket that is open."""
    if piece["weight"]:
        return parts.close("(", float(piece["weight"]))
    if piece["closed"]:
        bracket = _OPENING[piece["closed"]]
        return parts.close(bracket, _FACTORS[bracket])
    return False


def _joined(parts: Sequence[tuple[str | None, float]]) -> list[list[WeightedText]]:
    """Neighbours of one weight as one, without empty ones, in sections."""
    sections: list[list[WeightedText]] = [[]]
    for text, weight in parts:
        section = sections[-1]
        if text is None:
            sections.append([])
        elif section and section[-1].weight == weight:
            section[-1] = WeightedText(section[-1].text + text, weight)
        elif text:
            section.append(WeightedText(text, weight))
    return [section or [WeightedText("")] for section in sections]
