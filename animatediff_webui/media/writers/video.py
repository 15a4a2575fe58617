"""What the video formats share: frames into ffmpeg's standard input, infotext as metadata."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from animatediff_webui.media.ffmpeg import LOCAL_ONLY, local_url, raw_frames, run_ffmpeg, video_input
from animatediff_webui.media.sound import Sound
from animatediff_webui.media.writers import Animation

# High-definition video's colors, named in the file, so that no player has to guess.
_COLORS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
# A sound that begins later than the pictures is led in by silence, gaps are filled: it stays with them.
_IN_STEP = ("-af", "aresample=async=1:first_pts=0")


def encode(
    animation: Animation,
    path: Path,
    container: Sequence[str],
    codec: Sequence[str],
    pixel_format: str,
    sound_codec: Sequence[str],
) -> None:
    """Write `animation` with the given ffmpeg options. The same frames make the same bytes.

    The metadata goes through a file, as a long infotext does not fit into a command line.
    """
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder, "metadata")
        metadata.write_bytes(_metadata(animation.infotext))
        source = [*LOCAL_ONLY, *raw_frames(animation.frames.size, animation.fps)]
        texts = [*LOCAL_ONLY, "-f", "ffmetadata", "-i", local_url(metadata)]
        sound = [] if animation.sound is None else _sound_input(animation.sound, animation.duration)
        streams = ["-map", "0:v", "-map_metadata", "1", "-map_chapters", "-1"]
        if sound:
            streams += ["-map", "2:a:0", *sound_codec, *_IN_STEP, "-flags:a", "+bitexact"]
        conversion = f"scale=out_color_matrix=bt709:out_range=tv,format={pixel_format}"
        filters = ["-vf", _padding(*animation.frames.size) + conversion]
        target = ["-fflags", "+bitexact", *container, local_url(path)]
        command = [*source, *texts, *sound, *streams, *filters, *codec, *_COLORS, *target]
        run_ffmpeg(command, (frame.tobytes() for frame in animation.frames))


def _sound_input(sound: Sound, duration: Fraction) -> list[str]:
    """ffmpeg's options to read `duration` seconds of a sound."""
    cut = ["-ss", f"{float(sound.start):.6f}", "-t", f"{float(duration):.6f}"]
    return [*cut, "-vn", "-sn", "-dn", *video_input(sound.path)]


def _padding(width: int, height: int) -> str:
    """Filters that make an odd size even by repeating the last column or row: 4:2:0 has no odd sizes."""
    right, bottom = width % 2, height % 2
    if not right and not bottom:
        return ""
    size = f"{width + right}:{height + bottom}"
    return f"format=gbrp,pad={size},fillborders=right={right}:bottom={bottom}:mode=smear,"


def _metadata(infotext: str) -> bytes:
    escaped = re.sub(r"([=;#\\\r\n])", r"\\\1", infotext)
    return f";FFMETADATA1\n{f'comment={escaped}' if infotext else ''}\n".encode()
