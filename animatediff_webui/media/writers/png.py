"""A folder of numbered PNG frames, each with the infotext in its text chunk `parameters`."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.media.infotext import png_text
from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.writers import Animation


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    """`path` becomes the folder."""
    path.mkdir()
    for index, frame in enumerate(animation.frames):
        frame.save(
            path / f"{index:05}.png",
            format="PNG",
            pnginfo=png_text(animation.infotext),
            compress_level=options.png_compression,
        )
