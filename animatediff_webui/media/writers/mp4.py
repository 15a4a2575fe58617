"""MP4 that browsers and phones play: H.264 in yuv420p, with its index at the front."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.writers import Animation

from .video import encode

SOUND = ("-c:a", "aac", "-b:a", "192k")


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    tune = ["-tune", options.mp4_tune] if options.mp4_tune else []
    codec = ["-c:v", "libx264", "-crf", str(options.mp4_crf), "-preset", options.mp4_preset, *tune]
    encode(animation, path, ["-movflags", "+faststart", "-f", "mp4"], codec, "yuv420p", SOUND)
