"""A folder of numbered PNG frames, each with the infotext in its text chunk `parameters`."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.media.infotext import png_text
from animatediff_webui.media.options import WriterOptions

from .contract import Clip


def write(clip: Clip, path: Path, options: WriterOptions) -> None:
    """`path` becomes the folder."""
    path.mkdir()
    for index, frame in enumerate(clip.frames):
        frame.save(
            path / f"{index:05}.png",
            format="PNG",
            pnginfo=png_text(clip.infotext),
            compress_level=options.png_compression,
        )
