"""The host's model call, window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from animatediff_webui.core.window_batches import WindowBatches
from animatediff_webui.core.windowed import predict_windows, read_layout, scaled_guidance
from animatediff_webui.core.windows import Window

from .host_types import ModelCall


@dataclass(frozen=True)
class WindowedCall:
    """What a call of the model needs to know of the clip that is being sampled.

    `windows` gives the windows of the current step, `num_parts` how many prompts `AND` joins frame by frame;
    `share` is a window's part of the frames. The model runs inside `framed(window, num_groups)`, where a call
    has so many rows for each frame. `before_window` is called with the windows done and the number of all of
    them, before each and after the last; it may raise. `batches` says how many windows go together in a step:
    they are then one `Window`. `guidance` is how many times the host's own scale guides.
    """

    num_frames: int
    share: float
    windows: Callable[[], Sequence[Window]]
    num_parts: Callable[[], int]
    before_window: Callable[[int, int], None]
    framed: Callable[[Window, int], AbstractContextManager[None]]
    batches: Callable[[], WindowBatches] = WindowBatches
    guidance: Callable[[], float] = lambda: 1.0

    def around(self, call: ModelCall) -> ModelCall:
        """`apply_model(x, t, cond)` over the windows of a step, a `call` for each or for several of them."""

        def windowed(
            x: torch.Tensor, t: torch.Tensor, cond: Mapping[str, object], *args: object, **kwargs: object
        ) -> torch.Tensor:
            def call_window(
                rows: tuple[torch.Tensor, torch.Tensor, Mapping[str, object]], window: Window
            ) -> torch.Tensor:
                with self.framed(window, layout.num_groups):
                    return call(*rows, *args, **kwargs)

            layout = read_layout(len(x), self.num_frames, self.num_parts())
            prediction = predict_windows(
                call_window, (x, t, cond), layout, self.windows(), self.before_window, batches=self.batches()
            )
            return self._guided(prediction)

        return windowed

    def _guided(self, prediction: torch.Tensor) -> torch.Tensor:
        """With the step's guidance, where the call has the negative prompt: its rows follow the prompt's."""
        prompt = self.num_parts() * self.num_frames
        if len(prediction) != prompt + self.num_frames:
            return prediction
        rows = slice(0, prompt), slice(prompt, None)
        return scaled_guidance(prediction, self.guidance(), *rows)
