"""Animated AVIF, by Pillow where it can, else by pillow-avif-plugin, with the infotext in EXIF."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.media.errors import MissingPackageError
from animatediff_webui.media.infotext import exif_comment
from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.pillow_avif import avif_available
from animatediff_webui.media.timing import spread_durations
from animatediff_webui.media.writers import Animation

from .lazy import as_one_image


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    """Neither encoder can set how often it plays: players repeat it forever."""
    if not avif_available():
        raise MissingPackageError(
            "This Pillow cannot write AVIF: run `pip install pillow-avif-plugin` (Pillow 11.3 needs none)."
        )
    with as_one_image(animation.frames, path.parent) as image:
        image.save(
            path,
            format="AVIF",
            save_all=True,
            duration=spread_durations(len(animation.frames), animation.fps, 1000),
            quality=options.avif_quality,
            speed=6,
            exif=exif_comment(animation.infotext),
        )
