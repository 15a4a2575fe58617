"""The ffmpeg of imageio-ffmpeg, run by argument list, on local files and pipes only."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO

from .errors import FfmpegError, MissingPackageError
from .processes import running, streamed

LOCAL_ONLY = ("-protocol_whitelist", "file,pipe")
# Demuxers that read one file: playlists and scripts (HLS, concat, image sequences) could name others.
DEMUXERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,nut,ivf,h264,hevc,obu,av1,yuv4mpegpipe"
_QUIET = ("-hide_banner", "-nostdin", "-y", "-v", "level+info")


def ffmpeg_executable() -> str:
    """The path of ffmpeg; raises MissingPackageError where there is none."""
    try:
        return str(_package().get_ffmpeg_exe())
    except RuntimeError as error:
        raise MissingPackageError(
            "The package imageio-ffmpeg has no ffmpeg for this system: install ffmpeg, or set "
            "IMAGEIO_FFMPEG_EXE to its path."
        ) from error


def _package() -> ModuleType:
    try:
        return import_module("imageio_ffmpeg")
    except ImportError as error:
        raise MissingPackageError(
            "The package imageio-ffmpeg is not installed: run `pip install imageio-ffmpeg`."
        ) from error


def local_url(path: Path) -> str:
    """`path` for ffmpeg: with its protocol named, no part of a file's name can be taken for another."""
    return f"file:{path.absolute()}"


def video_input(path: Path) -> list[str]:
    """The input options for a file that may come from anywhere."""
    return [*LOCAL_ONLY, "-format_whitelist", DEMUXERS, "-i", local_url(path)]


def raw_frames(size: tuple[int, int], fps: Fraction) -> list[str]:
    """The input options for rgb24 frames on standard input."""
    video_size, rate = f"{size[0]}x{size[1]}", f"{fps.numerator}/{fps.denominator}"
    return f"-f rawvideo -pixel_format rgb24 -video_size {video_size} -framerate {rate} -i pipe:0".split()


def run_ffmpeg(arguments: Sequence[str], stdin: Iterable[bytes] = ()) -> bytes:
    """What ffmpeg writes to its standard output, run to the end and fed with `stdin`.

    Raises FfmpegError with ffmpeg's own reason.
    """
    command = _command(arguments)
    with tempfile.TemporaryFile() as output, running(command, subprocess.PIPE, output, _failure) as process:
        assert process.stdin is not None  # it was asked for as a pipe
        with suppress(BrokenPipeError), process.stdin as pipe:  # it may have all it wants, or have failed
            for data in stdin:
                pipe.write(data)
        process.wait()
        output.seek(0)
        return output.read()


def streamed_ffmpeg(
    arguments: Sequence[str], chunk_bytes: int, stdin: IO[bytes] | None = None
) -> Iterator[bytes]:
    """ffmpeg's output in chunks, each made when it is asked for; leaving early ends ffmpeg.

    Raises FfmpegError, after the chunks that came, where ffmpeg fails.
    """
    source = subprocess.DEVNULL if stdin is None else stdin
    return streamed(_command(arguments), chunk_bytes, source, _failure)


def _command(arguments: Sequence[str]) -> list[str]:
    return [ffmpeg_executable(), *_QUIET, *arguments]


def _failure(log: str, code: int) -> FfmpegError:
    return FfmpegError(f"ffmpeg failed ({_reason(log, code)}).")


def _reason(log: str, code: int) -> str:
    """The first thing ffmpeg called an error: the later ones are its consequences."""
    match = re.search(r"^(?:\[[^\]]* @ [^\]]*\] )*\[(?:error|fatal|panic)\] (.+)$", log, re.MULTILINE)
    return match[1].strip().rstrip(".") if match else f"exit code {code}"
