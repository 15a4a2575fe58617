"""WEBM: VP9 at constant quality."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.writers import Animation

from .video import encode

SOUND = ("-c:a", "libopus", "-b:a", "160k")


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    quality = ["-crf", str(options.webm_crf), "-b:v", "0", "-cpu-used", "2", "-row-mt", "1"]
    encode(animation, path, ["-f", "webm"], ["-c:v", "libvpx-vp9", *quality], "yuv420p", SOUND)
