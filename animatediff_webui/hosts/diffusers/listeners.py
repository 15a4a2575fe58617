"""Who wants to hear of a run while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animatediff_webui.core.errors import ParameterError, shown
from animatediff_webui.core.fields import Field, Kind

if TYPE_CHECKING:
    import torch

    from animatediff_webui.session import Session, WindowListener

    from .preview import Preview, PreviewListener


PREVIEW_EVERY = Field(
    "preview_every", "preview_every", "Preview every", Kind.INTEGER, "Run", "Steps between two previews.",
    default=5, minimum=1,
)  # fmt: skip


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
        PREVIEW_EVERY.read(self.preview_every)

    def on_window(self, preview: Preview | None) -> WindowListener:
        """One listener to windows in place of both."""

        def listen(session: Session, denoised: torch.Tensor | None) -> None:
            if self.window is not None:
                self.window(session, denoised)
            if preview is not None:
                preview(session, denoised)

        return listen
