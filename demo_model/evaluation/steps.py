"""How far a clip goes from frame to frame, and where: inside windows, across their borders, over the seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from PIL import Image

from animatediff_webui.core.parameters import Parameters
from animatediff_webui.core.plan import ModuleLimits, Plan, build_plan
from animatediff_webui.core.sources import SourceInfo
from animatediff_webui.core.steps import DEFAULT_STEPS
from animatediff_webui.core.windows import Window


def step_sizes(frames: Sequence[Image.Image], *, around: bool = False) -> np.ndarray:
    """Mean absolute differences (n-1,) of neighbouring frames in grey levels.

    With `around` (n,): the last is the seam's, from the last frame to the first.
    """
    pixels = np.stack([np.asarray(frame, dtype=np.float32) for frame in frames])
    following = np.roll(pixels, -1, 0) if around else pixels[1:]
    return np.abs(following - pixels[: len(following)]).mean((1, 2, 3))


def is_border(windows: Sequence[Window], num_frames: int) -> np.ndarray:
    """For each pair of neighbouring frames (n-1,): do they lie on the way from one window to the next?

    They do unless both belong to one and the same window alone.
    """
    owners: list[set[int]] = [set() for _ in range(num_frames)]
    for index, window in enumerate(windows):
        for frame, weight in zip(window.frames, window.weights, strict=True):
            if weight > 0:
                owners[frame].add(index)
    return np.array([len(left) > 1 or left != right for left, right in pairwise(owners)])


@dataclass(frozen=True)
class LastWindowPlan(Plan):
    """A plan whose frames each come from the last window that has them, unblended."""

    def windows(self, step: int, share: float = 0.0) -> tuple[Window, ...]:
        windows = super().windows(step, share)
        owners: dict[int, Window] = {}
        for window in windows:
            owners |= dict.fromkeys(window.frames, window)
        unblended: list[Window] = []
        for window in windows:
            weights = [float(owners[frame] is window) for frame in window.frames]
            unblended.append(Window(window.frames, tuple(weights)))
        return tuple(unblended)


def build_last_window_plan(
    parameters: Parameters,
    *,
    module: ModuleLimits | None,
    prompt: str,
    negative_prompt: str,
    sources: Sequence[SourceInfo] = (),
    num_steps: int = DEFAULT_STEPS,
) -> LastWindowPlan:
    """A plan as systems have it that let the last window win: what blending is compared with."""
    plan = build_plan(
        parameters, module=module, prompt=prompt, negative_prompt=negative_prompt, sources=sources,
        num_steps=num_steps,
    )  # fmt: skip
    return LastWindowPlan(**{field.name: getattr(plan, field.name) for field in fields(plan)})
