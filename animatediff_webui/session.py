"""One request under way: how far it is, whether it is to stop, and what has been written.

The only mutable object of a run, below the hosts and used by all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from .core.windowed import SamplingStoppedError
from .media.animation import Playback, WrittenFile, write_animation
from .media.errors import WritingStoppedError
from .media.interpolation.methods import interpolate
from .media.interpolation.models import InterpolationModels
from .media.naming import reserved_stem
from .media.options import WriterOptions
from .media.sound import Sound

if TYPE_CHECKING:
    import torch

    from .core.plan import Plan

WindowListener: TypeAlias = "Callable[[Session, torch.Tensor | None], None]"


@dataclass
class Session:
    """What is planned and how far it is.

    `calls_per_step` is how often the sampler calls the UNet in one step, `extra_calls` how often beyond that.
    `is_stopped` asks a host that has a button of its own. `on_window` hears of every window that is about to
    be computed, with the clip as the model last saw it without noise, `f c h w`, where the host knows it.
    `sound` is the source's; it is written where the plan keeps it. `interpolation` says where networks that
    make frames in between are.
    """

    plan: Plan
    num_steps: int
    seed: int
    calls_per_step: int = 1
    extra_calls: int = 0
    is_stopped: Callable[[], bool] = lambda: False
    on_window: WindowListener = lambda session, denoised: None
    sound: Sound | None = None
    interpolation: InterpolationModels = field(default_factory=InterpolationModels)
    step: int = 0
    windows_begun: int = 0
    stops: int = 0
    files: list[WrittenFile] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    sampling_started: float = 0.0

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked for an end."""
        return self.stops > 0 or self.is_stopped()

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
        """Ask for an end, of sampling before its next window, of writing after the frame it is at."""
        self.stops += 1

    def before_window(self, step: int, done: int, total: int, denoised: torch.Tensor | None = None) -> None:
        """To be called when `done` of a step's `total` windows are computed, before each and after the last.

        Raises SamplingStoppedError where an end was asked for and there is a window to come.
        """
        self.step = step
        if done == total:
            return
        if self.is_stopping:
            raise SamplingStoppedError
        self.on_window(self, denoised)
        self.windows_begun += 1

    def write(
        self,
        frames: Iterable[Image.Image],
        folder: Path,
        infotext: str,
        options: WriterOptions | None = None,
        *,
        saves_frames: bool = True,
    ) -> list[WrittenFile]:
        """Write the clip below `folder` in the plan's formats, and what was generated beyond it as PNGs.

        `frames` are all generated ones in order, taken one at a time. Where they raise, what came is written
        and in `files`, and the exception goes on; after `stop()` no more are taken. `saves_frames`: false
        where the host saves frames by itself. Raises MediaError.
        """
        plan, output, stops = self.plan, self.plan.parameters.output, self.stops
        formats = [each for each in plan.written_formats if saves_frames or not each.holds_every_frame]
        beyond = plan.extra_frames if saves_frames else ()
        with reserved_stem(folder, self.seed, output.request_id) as stem:
            write_animation(
                _until_stopped(frames, plan.num_frames, lambda: self.stops > stops),
                stem,
                [format.name for format in formats],
                fps=plan.fps,
                playback=Playback(plan.played_frames, beyond, self._between()),
                loop_count=output.loop_number,
                infotext=infotext,
                options=options,
                sound=self.sound if plan.keeps_sound else None,
                report=self.files.append,
            )
        return self.files

    def _between(self) -> Callable[[Iterable[Image.Image]], Iterator[Image.Image]] | None:
        """What puts frames in between, None where nothing does."""
        asked = self.plan.parameters.interpolation
        if asked.frames_for_each == 1:
            return None

        def between(frames: Iterable[Image.Image]) -> Iterator[Image.Image]:
            shown = interpolate(
                frames, asked.factor, method=asked.method, models=self.interpolation,
                looped=self.plan.comes_round,
            )  # fmt: skip
            stops, was_stopped = self.stops, self.is_stopped()
            return _until_stopped(
                shown, self.plan.num_shown,
                lambda: self.stops > stops or (self.is_stopped() and not was_stopped),
            )  # fmt: skip

        return between


def _until_stopped(
    frames: Iterable[Image.Image], total: int, is_stopped: Callable[[], bool]
) -> Iterator[Image.Image]:
    """`frames`, up to a stop that comes while they are made."""
    for number, frame in enumerate(frames, 1):
        yield frame
        if number < total and is_stopped():
            raise WritingStoppedError(f"Stopped after {number} of {total} frames.")
