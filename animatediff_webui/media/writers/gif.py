"""GIF: one palette for the whole clip, dithering, and pixels that stand still stay still."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from ..errors import MediaError
from ..options import GifDither, WriterOptions
from ..temporary import completed
from ..timing import gif_delays
from .contract import Clip

_log = logging.getLogger(__name__)

_NUM_COLORS = 256
_SAMPLED_FRAMES = 64
_SAMPLED_PIXELS = 2**19
# A pixel keeps its color until its source moved by more than this: below it, a new dither would only shimmer.
_STILL = 2
# How far ordered dithering moves a pixel: about the distance between colors of a palette of 256.
_BAYER_SPREAD = 24.0
_MAX_UINT16 = 2**16 - 1


def write(clip: Clip, path: Path, options: WriterOptions) -> None:
    """Two passes over the frames: a sample of them makes the palette, then each is written."""
    delays = gif_delays(len(clip.frames), clip.fps)
    if max(delays) > _MAX_UINT16:
        raise MediaError(f"GIF cannot show a frame for {float(1 / clip.fps):g} s: use a higher fps.")
    shown = [index for index, delay in enumerate(delays) if delay]
    palette = _clip_palette(clip.frames)
    with path.open("wb") as file:
        file.writelines(_header(clip, palette))
        changes = _changes(clip.frames, shown, palette, options.gif_dither)
        for index, (pixels, offset) in zip(shown, changes, strict=True):
            duration_ms = delays[index] * 10
            image = Image.fromarray(pixels)
            file.writelines(GifImagePlugin.getdata(image, offset, duration=duration_ms, disposal=1))
        file.write(b";")
    if options.gif_gifsicle:
        _optimize(path)


def _header(clip: Clip, palette: Image.Image) -> list[bytes]:
    """The loop field counts repeats, so a clip that plays once has none."""
    info: dict[str, Any] = {"duration": 1, "comment": clip.infotext.encode("utf-8")}  # Any: Pillow's own type
    if clip.loop_count != 1:
        info["loop"] = min(max(clip.loop_count - 1, 0), _MAX_UINT16)
    screen = Image.new("P", clip.frames.size)
    screen.putpalette(_colors(palette))
    return GifImagePlugin.getheader(screen, info=info)[0]


def _clip_palette(frames: Sequence[Image.Image]) -> Image.Image:
    """The 256 colors nearest to a sample of all frames: median cut, refined by k-means."""
    num_sampled = min(len(frames), _SAMPLED_FRAMES)
    chosen = [frames[index * len(frames) // num_sampled] for index in range(num_sampled)]
    step = max(1, round((chosen[0].width * chosen[0].height * num_sampled / _SAMPLED_PIXELS) ** 0.5))
    pixels = np.concatenate([np.asarray(frame)[::step, ::step].reshape(-1, 3) for frame in chosen])
    sample = Image.fromarray(pixels[None])
    return sample.quantize(_NUM_COLORS, method=Image.Quantize.MEDIANCUT, kmeans=1)


def _colors(palette: Image.Image) -> list[int]:
    """256 colors, the last repeated where there are fewer: no index can then name a color that is none."""
    colors = list(palette.getpalette() or [])[: 3 * _NUM_COLORS]
    return colors + colors[-3:] * (_NUM_COLORS - len(colors) // 3)


def _changes(
    frames: Sequence[Image.Image], shown: Sequence[int], palette: Image.Image, dither: GifDither
) -> Iterator[tuple[NDArray[np.uint8], tuple[int, int]]]:
    """Of each shown frame the palette indices of the rectangle that changes, and where it lies."""
    table = Image.new("P", (1, 1))
    table.putpalette(_colors(palette))
    source = indices = np.zeros(0, np.uint8)
    for number, index in enumerate(shown):
        pixels = np.asarray(frames[index])
        dithered = _dithered(pixels, table, dither)
        if number == 0:
            source, indices = pixels, dithered
            yield indices, (0, 0)
            continue
        moved = (np.abs(pixels.astype(np.int16) - source) > _STILL).any(axis=2)
        source = np.where(moved[..., None], pixels, source)
        changed = moved & (dithered != indices)
        indices = np.where(changed, dithered, indices)
        yield _bounded(indices, changed)


def _bounded(
    indices: NDArray[np.uint8], changed: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The rectangle that holds all changes; one pixel where there are none, as a frame cannot be empty."""
    rows, columns = changed.any(axis=1).nonzero()[0], changed.any(axis=0).nonzero()[0]
    if not rows.size:
        return indices[:1, :1], (0, 0)
    top, left = int(rows[0]), int(columns[0])
    return np.ascontiguousarray(indices[top : rows[-1] + 1, left : columns[-1] + 1]), (left, top)


def _dithered(pixels: NDArray[np.uint8], table: Image.Image, dither: GifDither) -> NDArray[np.uint8]:
    if dither == "bayer":
        height, width = pixels.shape[:2]
        threshold = np.tile(_bayer(), (height // 8 + 1, width // 8 + 1))[:height, :width, None]
        pixels = np.clip(pixels + threshold * _BAYER_SPREAD, 0, 255).astype(np.uint8)
    diffusion = Image.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Image.Dither.NONE
    return np.asarray(Image.fromarray(pixels).quantize(palette=table, dither=diffusion))


def _bayer() -> NDArray[np.float32]:
    """The 8 x 8 threshold matrix of ordered dithering, from -0.5 to 0.5 (Bayer, 1973)."""
    matrix = np.zeros((1, 1), np.float32)
    for _ in range(3):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return (matrix / 64 - 0.5).astype(np.float32)


def _optimize(path: Path) -> None:
    """Let gifsicle compress the file again; without gifsicle it stays as it is."""
    gifsicle = shutil.which("gifsicle")
    if gifsicle is None:
        _log.warning("gifsicle was asked for, but is not on the PATH: %s stays as it is.", path.name)
        return
    with completed(path) as smaller:
        files = ["--output", str(smaller.absolute()), "--", str(path.absolute())]
        command = [gifsicle, "--no-warnings", "-O3", *files]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if result.returncode:
            reason = result.stderr.decode("utf-8", "replace").strip()
            raise MediaError(f"gifsicle failed ({reason}): switch it off in the settings.")
