"""The ffmpeg of imageio-ffmpeg, run by argument list, on local files and pipes only."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO

from .errors import FfmpegError, MissingPackageError

LOCAL_ONLY = ("-protocol_whitelist", "file,pipe")
# Keeps console windows from popping up on Windows; the flag exists only there.
_FLAGS: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_QUIET = ("-hide_banner", "-nostdin", "-y", "-v", "level+info")


@dataclass(frozen=True)
class Completed:
    """What a finished ffmpeg printed."""

    output: bytes
    log: str


def ffmpeg_executable() -> str:
    """The path of ffmpeg; raises MissingPackageError where there is none."""
    try:
        return str(_package().get_ffmpeg_exe())
    except RuntimeError as error:
        raise MissingPackageError(
            "The package imageio-ffmpeg has no ffmpeg for this system: install ffmpeg, or set "
            "IMAGEIO_FFMPEG_EXE to its path."
        ) from error


def frame_for_frame() -> tuple[str, str]:
    """The option that neither repeats nor drops frames: ffmpeg renamed it in 5.1 and then removed the old."""
    version = re.match(r"n?(\d+)\.(\d+)", str(_package().get_ffmpeg_version()))
    old = version is not None and (int(version[1]), int(version[2])) < (5, 1)
    return ("-vsync", "0") if old else ("-fps_mode", "passthrough")


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


def raw_frames(size: tuple[int, int], fps: Fraction) -> list[str]:
    """The input options for rgb24 frames on standard input."""
    video_size, rate = f"{size[0]}x{size[1]}", f"{fps.numerator}/{fps.denominator}"
    return f"-f rawvideo -pixel_format rgb24 -video_size {video_size} -framerate {rate} -i pipe:0".split()


def run_ffmpeg(arguments: Sequence[str], stdin: IO[bytes] | None = None) -> Completed:
    """Run to the end; raises FfmpegError with ffmpeg's own reason."""
    process = subprocess.run(
        [ffmpeg_executable(), *_QUIET, *arguments],
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        capture_output=True,
        creationflags=_FLAGS,
        check=False,
    )
    log = process.stderr.decode("utf-8", "replace")
    if process.returncode:
        raise FfmpegError(f"ffmpeg failed ({_reason(log, process.returncode)}).")
    return Completed(process.stdout, log)


def streamed_ffmpeg(
    arguments: Sequence[str], chunk_bytes: int, stdin: IO[bytes] | None = None
) -> Iterator[bytes]:
    """ffmpeg's output in chunks, each made when it is asked for; leaving early ends ffmpeg.

    Raises FfmpegError, after the chunks that came, where ffmpeg fails.
    """
    command = [ffmpeg_executable(), *_QUIET, *arguments]
    source = subprocess.DEVNULL if stdin is None else stdin
    # The log goes to a file: nobody reads it meanwhile, and a full pipe would stop ffmpeg.
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=source, stdout=subprocess.PIPE, stderr=log, creationflags=_FLAGS
        ) as process,
    ):
        assert process.stdout is not None  # it was asked for as a pipe
        try:
            while len(chunk := process.stdout.read(chunk_bytes)) == chunk_bytes:
                yield chunk
        except BaseException:
            process.kill()
            raise
        if process.wait():
            log.seek(0)
            text = log.read().decode("utf-8", "replace")
            raise FfmpegError(f"ffmpeg failed ({_reason(text, process.returncode)}).")


def _reason(log: str, code: int) -> str:
    """The first thing ffmpeg called an error: the later ones are its consequences."""
    found = re.search(r"^(?:\[[^\]]* @ [^\]]*\] )*\[(?:error|fatal|panic)\] (.+)$", log, re.MULTILINE)
    return found[1].strip().rstrip(".") if found else f"exit code {code}"
