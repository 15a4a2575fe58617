"""Who wants to hear of a run while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.fields import shown

if TYPE_CHECKING:
    import torch

    from animatediff_webui.session import Session, WindowListener

    from .preview import Preview, PreviewListener


@dataclass(frozen=True)
class Listeners:
    """`start` hears of the session before anything is loaded or sampled, `window` of each window before it
    is computed, `preview` every `preview_every` steps of what the clip looks like. Raises ParameterError."""

    start: Callable[[Session], None] | None = None
    window: WindowListener | None = None
    preview: PreviewListener | None = None
    preview_every: int = 5

    def __post_init__(self) -> None:
        for name in ("start", "window", "preview"):
            listener: object = getattr(self, name)
            if listener is not None and not callable(listener):
                raise ParameterError(f"on_{name} is {shown(listener)}, but must be a function.")
        every: object = self.preview_every
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ParameterError(
                f"preview_every is {shown(every)}, but must be a whole number of 1 or more."
            )

    def on_window(self, preview: Preview | None) -> WindowListener:
        """One listener to windows in place of both."""

        def listen(session: Session, denoised: torch.Tensor | None) -> None:
            if self.window is not None:
                self.window(session, denoised)
            if preview is not None:
                preview(session, denoised)

        return listen
