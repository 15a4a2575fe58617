"""What is shown while a clip is sampled: a bar, and a preview. Neither can end the run."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from animatediff_webui.core.errors import UserError

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from tqdm import tqdm

    from animatediff_webui.session import Session

PREVIEW = "preview.gif"
_BAR = "{desc} {percentage:3.0f}% |{bar:30}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"


class Progress:
    """A bar over the UNet's window calls, on the error stream."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._bar: tqdm | None = None

    def begin(self, session: Session) -> None:
        from tqdm import tqdm

        total = session.total_windows
        self._bar = tqdm(total=total, desc="Sampling", disable=self._is_quiet, bar_format=_BAR)

    def advance(self, session: Session, _denoised: torch.Tensor | None) -> None:
        if self._bar is not None and not self._is_quiet:
            self._bar.n = session.windows_begun
            self._bar.refresh()

    def end(self, session: Session) -> None:
        """Show the bar as full as the clip is."""
        self.advance(session, None)
        self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class PreviewFile:
    """Rough frames as a GIF, which is replaced each time."""

    def __init__(self, path: Path, *, is_quiet: bool) -> None:
        self._path, self._is_quiet = path, is_quiet
        self._has_failed = self._is_announced = False

    def show(self, session: Session, frames: list[Image.Image]) -> None:
        """Write the file; where it cannot be written, say so once."""
        from animatediff_webui.media.animation import write_animation

        if self._has_failed:
            return
        fps = len(frames) / (session.plan.num_frames / float(session.plan.fps))
        try:
            (file,) = write_animation(frames, self._path.with_suffix(""), ["GIF"], fps=fps)
            problem = file.error
        except (UserError, OSError) as error:
            problem = str(error)
        self._has_failed = problem is not None
        if problem is not None:
            print(f"\nnote: there is no preview ({problem})", file=sys.stderr)
        elif not self._is_announced and not self._is_quiet:
            print(f"\nPreview while sampling: {self._path}", file=sys.stderr)
        self._is_announced = True

    def remove(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


@contextmanager
def shown_progress(folder: Path, *, is_quiet: bool) -> Generator[tuple[Progress, PreviewFile], None, None]:
    """The bar, which is closed at the end, and the preview in `folder`, which is removed."""
    progress, preview = Progress(is_quiet=is_quiet), PreviewFile(folder / PREVIEW, is_quiet=is_quiet)
    try:
        yield progress, preview
    finally:
        progress.close()
        preview.remove()
