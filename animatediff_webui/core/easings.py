"""The pace between two keyframes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

EASINGS: Mapping[str, Callable[[float], float]] = {
    "linear": lambda position: position,
    "hold": lambda position: 0.0,
    "ease in-out": lambda position: position * position * (3 - 2 * position),
}
"""From 0 at the left one to 1 at the right one."""
