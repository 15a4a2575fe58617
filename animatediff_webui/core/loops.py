"""The ways a clip can come round to its beginning: one row each, asked by windows, plan and prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Loop:
    """What the parameter `closed_loop` means.

    `windows_may_wrap`: a context window may go on at the clip's beginning. `is_circular`: windows do so
    everywhere, so that the clip has no end. `rotates`: windows begin at another frame in each step, so that a
    clip of one window has no end either. `prompt_loops`: in a clip of several windows, the last keyframe's
    prompt turns back into the first one's; `prompt_always_loops`: in any clip. `returns_in_one_window`: a
    clip of one window is followed by its own reverse.
    """

    name: str
    windows_may_wrap: bool = True
    is_circular: bool = False
    rotates: bool = False
    prompt_loops: bool = False
    prompt_always_loops: bool = False
    returns_in_one_window: bool = False


NONE = Loop("N", windows_may_wrap=False)
LOOSE = Loop("R-P")

_ROWS = (
    NONE,
    LOOSE,
    Loop("R+P", prompt_loops=True),
    Loop("A", is_circular=True, prompt_loops=True, returns_in_one_window=True),
    Loop("Seamless", is_circular=True, rotates=True, prompt_loops=True, prompt_always_loops=True),
)
LOOPS: Mapping[str, Loop] = {row.name: row for row in _ROWS}
