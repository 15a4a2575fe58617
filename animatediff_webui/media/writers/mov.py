"""MOV for video editors: ProRes 422 HQ, ten bits a channel."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.writers import Animation

from .video import encode

SOUND = ("-c:a", "pcm_s16le")


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    # Without the tags flag QuickTime's old comment field is written, which ends at 65,535 bytes.
    container = ["-movflags", "+faststart+use_metadata_tags", "-f", "mov"]
    codec = ["-c:v", "prores_ks", "-profile:v", "hq", "-vendor", "apl0"]
    encode(animation, path, container, codec, "yuv422p10le", SOUND)
