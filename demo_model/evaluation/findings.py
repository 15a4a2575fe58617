"""What a suite of the evaluation finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

if TYPE_CHECKING:
    from animatediff_webui.hosts.diffusers.animator import Animator


@dataclass
class Findings:
    """Lines of measures with values, and clips with captions to look at."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[str, Sequence[Image.Image]]] = field(default_factory=list)


Suite: TypeAlias = "Callable[[Animator, int], Findings]"
"""Takes the animator, and how many seeds to use."""
