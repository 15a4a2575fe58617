"""One request under way: the only mutable object there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from .core.plan import Plan
from .media import WriterOptions, WrittenFile, in_order, reserved_stem, write_animation

if TYPE_CHECKING:
    import torch

    WindowListener = Callable[["Session", torch.Tensor | None], None]


@dataclass
class Session:
    """What is planned, how far it is, whether it is to stop, and what has been written.

    `calls_per_step` is how often the sampler calls the UNet in one step, `extra_calls` how often beyond that.
    `on_window` hears of every window that is about to be computed, with the model's latest idea of the clip.
    """

    plan: Plan
    num_steps: int
    seed: int
    calls_per_step: int = 1
    extra_calls: int = 0
    on_window: WindowListener = lambda session, estimate: None
    step: int = 0
    windows_begun: int = 0
    is_stopping: bool = False
    files: list[WrittenFile] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    sampling_started: float = 0.0

    @property
    def total_windows(self) -> int:
        """Windows in all steps and passes (for samplers with several calls a step, nearly)."""
        passes = len(self.plan.steps_per_iteration(self.num_steps))
        extra = passes * self.extra_calls * len(self.plan.windows(0))
        return self.plan.cost(self.num_steps).window_calls * self.calls_per_step + extra

    @property
    def seconds(self) -> float:
        """Since the session began."""
        return time.monotonic() - self.started

    @property
    def sampling_seconds(self) -> float:
        """Since sampling began, without the time to load models and encode prompts."""
        return time.monotonic() - self.sampling_started

    def begin_sampling(self) -> None:
        """Start the clock of `sampling_seconds`."""
        self.sampling_started = time.monotonic()

    def stop(self) -> None:
        """Ask for an end before the next window."""
        self.is_stopping = True

    def keep_going(self, step: int, estimate: torch.Tensor | None) -> bool:
        """Asked by the adapter before each window."""
        if self.is_stopping:
            return False
        self.step = step
        self.on_window(self, estimate)
        self.windows_begun += 1
        return True

    def write(
        self, frames: Iterable[Image.Image], folder: Path, infotext: str, options: WriterOptions | None = None
    ) -> list[WrittenFile]:
        """Write the video, and what was generated beyond it as PNGs, below `folder`.

        `frames` are all generated ones in order, taken one at a time. Where they raise, what came is written
        and in `files`, and the exception goes on. Raises MediaError.
        """
        generated = iter(frames)
        output = self.plan.parameters.output
        with reserved_stem(folder, self.seed, output.request_id) as stem:
            played = in_order(_first(generated, self.plan.video_frames), self.plan.played_frames)
            write_animation(
                played,
                stem,
                self.plan.formats,
                fps=self.plan.fps,
                loop_count=output.loop_number,
                infotext=infotext,
                options=options,
                report=self.files.append,
            )
            if self.plan.extra_frames and not self.is_stopping:
                beyond = stem.with_name(f"{stem.name}-beyond")
                write_animation(
                    generated, beyond, ["PNG"], fps=self.plan.fps, infotext=infotext, report=self.files.append
                )
        return self.files


def _first(frames: Iterator[Image.Image], count: int) -> Iterator[Image.Image]:
    """The first frames, leaving the iterator at the next one."""
    for _, frame in zip(range(count), frames, strict=False):
        yield frame
