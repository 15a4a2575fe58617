"""The infotext alone, as UTF-8."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.writers import Animation


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    """Bytes, so that no system changes the line ends."""
    path.write_bytes(animation.infotext.encode("utf-8"))
