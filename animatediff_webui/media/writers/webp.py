"""Animated WEBP by Pillow, with the infotext in EXIF."""

from __future__ import annotations

from pathlib import Path

from PIL import features

from animatediff_webui.media.errors import MediaError, MissingPackageError
from animatediff_webui.media.infotext import exif_comment
from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.timing import spread_durations
from animatediff_webui.media.writers import Animation

from .lazy import as_one_image

_MAX_DURATION_MS = 2**24 - 1
_MAX_LOOPS = 2**16 - 1


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    """The compressed clip is in memory until it is complete; its frames are not."""
    if not features.check("webp"):
        raise MissingPackageError("This Pillow was built without WEBP: reinstall the package Pillow.")
    durations = spread_durations(len(animation.frames), animation.fps, 1000)
    if max(durations) > _MAX_DURATION_MS:
        raise MediaError(f"WEBP cannot show a frame for {float(1 / animation.fps):g} s: use a higher fps.")
    with as_one_image(animation.frames, path.parent) as image:
        image.save(
            path,
            format="WEBP",
            save_all=True,
            duration=durations,
            loop=min(animation.loop_count, _MAX_LOOPS),
            quality=options.webp_quality,
            lossless=options.webp_lossless,
            method=4,
            exif=exif_comment(animation.infotext),
        )
