"""A bar for each result, as SVG: what ours takes of what the other takes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.results import Result

ROW, LABEL, WIDTH = 22, 430, 800
"""Pixels: of a bar's height, of what stands before it, and of all."""
MOST = 1.5
"""The ratio that fills the width; what is above is cut."""


def to_svg(results: Sequence[Result]) -> str:
    """The chart; a line stands where both take the same."""
    height = ROW * (len(results) + 1)
    even = LABEL + (WIDTH - LABEL) / MOST
    rows = [_row(result, ROW * number) for number, result in enumerate(results)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
            *rows,
            f'<path d="M{even:.1f} 0V{height - ROW}" stroke="#888" stroke-dasharray="3"/>',
            f'<text x="{even:.1f}" y="{height - 7}" text-anchor="middle">the same</text>',
            "</svg>",
            "",
        ]
    )


def _row(result: Result, top: int) -> str:
    width = min(result.ratio, MOST) / MOST * (WIDTH - LABEL)
    color = "#2b7a4b" if result.ratio < 1 else "#b5651d"
    label = escape(f"{result.case}, beside {result.subject}")
    return (
        f'<text x="{LABEL - 6}" y="{top + 15}" text-anchor="end">{label}</text>'
        f'<rect x="{LABEL}" y="{top + 4}" width="{width:.1f}" height="{ROW - 8}" fill="{color}"/>'
        f'<text x="{LABEL + 5}" y="{top + 15}" fill="white">{result.ratio:.2f}</text>'
    )
