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

from animatediff_webui.media.errors import MediaError
from animatediff_webui.media.options import GifDither, WriterOptions
from animatediff_webui.media.store import FrameSelection
from animatediff_webui.media.temporary import completed
from animatediff_webui.media.timing import gif_delays
from animatediff_webui.media.writers import Animation

_log = logging.getLogger(__name__)

_NUM_COLORS = 255
# The index left over means: as before. It makes clips with a still background half as big.
_UNCHANGED = 255
_SAMPLED_FRAMES = 64
_SAMPLED_PIXELS = 2**16
# A pixel keeps its color until its source moved by more than this: below it, a new dither would only shimmer.
_STILL = 3
# How far ordered dithering moves a pixel: measured, the least error once blurred as an eye does.
_BAYER_SPREAD = 8.0
_MAX_UINT16 = 2**16 - 1


def write(animation: Animation, path: Path, options: WriterOptions) -> None:
    """Two passes over the frames: a sample of them makes the palette, then each is written."""
    delays = gif_delays(len(animation.frames), animation.fps)
    if max(delays) > _MAX_UINT16:
        raise MediaError(f"GIF cannot show a frame for {float(1 / animation.fps):g} s: use a higher fps.")
    shown = [index for index, delay in enumerate(delays) if delay]
    palette = _clip_palette(animation.frames)
    with path.open("wb") as file:
        file.writelines(_header(animation, palette))
        changes = _changes(animation.frames, shown, palette, options.gif_dither)
        for index, (indices, changed) in zip(shown, changes, strict=True):
            file.writelines(_smallest_frame(indices, changed, delays[index]))
        file.write(b";")
    if options.gif_gifsicle:
        _optimize(path)


def _header(animation: Animation, palette: Image.Image) -> list[bytes]:
    """The loop field counts repeats, so a clip that plays once has none."""
    comment = animation.infotext.encode("utf-8")
    info: dict[str, Any] = {"duration": 1, "comment": comment}  # Any: Pillow's own type
    if animation.loop_count != 1:
        info["loop"] = min(max(animation.loop_count - 1, 0), _MAX_UINT16)
    screen = Image.new("P", animation.frames.size)
    screen.putpalette(_colors(palette))
    return GifImagePlugin.getheader(screen, info=info)[0]


def _clip_palette(frames: FrameSelection) -> Image.Image:
    """The 255 colors nearest to a sample of all frames: median cut, refined by k-means."""
    num_sampled = min(len(frames), _SAMPLED_FRAMES)
    step = max(1, round((frames.size[0] * frames.size[1] * num_sampled / _SAMPLED_PIXELS) ** 0.5))
    sampled = (frames[index * len(frames) // num_sampled] for index in range(num_sampled))
    # Copies, as a view of every tenth pixel would keep the whole frame.
    samples = [np.ascontiguousarray(_pixels(frame)[::step, ::step]) for frame in sampled]
    return Image.fromarray(np.concatenate(samples)).quantize(
        _NUM_COLORS, method=Image.Quantize.MEDIANCUT, kmeans=1
    )


def _colors(palette: Image.Image) -> list[int]:
    """A table of 256, the last color repeated where there are fewer: no index can then name none."""
    colors = list(palette.getpalette() or [])[: 3 * _NUM_COLORS]
    return colors + colors[-3:] * (256 - len(colors) // 3)


def _changes(
    frames: FrameSelection, shown: Sequence[int], palette: Image.Image, dither: GifDither
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """The palette indices of each shown frame, and which of them differ from those before."""
    table = Image.new("P", (1, 1))
    table.putpalette(_colors(palette))
    source = _pixels(frames[0])
    indices = _dithered(source, table, dither)
    yield indices, np.ones_like(indices, dtype=np.bool_)
    for index in shown[1:]:
        pixels = _pixels(frames[index])
        moved: NDArray[np.bool_] = np.any(np.abs(pixels.astype(np.int16) - source) > _STILL, axis=2)
        source = np.where(moved[..., None], pixels, source)
        before, indices = indices, np.where(moved, _dithered(pixels, table, dither), indices)
        yield indices, indices != before


def _smallest_frame(indices: NDArray[np.uint8], changed: NDArray[np.bool_], delay: int) -> list[bytes]:
    """The rectangle that holds all changes, its unchanged pixels either repeated or left out.

    Noise compresses better one way, a still background the other. A frame cannot be empty: one that
    changes nothing repeats a pixel.
    """
    left, top, right, bottom = Image.fromarray(changed).getbbox() or (0, 0, 1, 1)
    area = np.s_[top:bottom, left:right]
    sparse = np.where(changed, indices, np.uint8(_UNCHANGED))
    params = {"duration": delay * 10, "disposal": 1}
    whole = GifImagePlugin.getdata(_image(indices[area]), (left, top), **params)
    parts = GifImagePlugin.getdata(_image(sparse[area]), (left, top), transparency=_UNCHANGED, **params)
    return min(whole, parts, key=lambda chunks: sum(map(len, chunks)))


def _dithered(pixels: NDArray[np.uint8], table: Image.Image, dither: GifDither) -> NDArray[np.uint8]:
    if dither == "bayer":
        height, width = pixels.shape[:2]
        threshold = np.tile(_bayer(), (height // 8 + 1, width // 8 + 1))[:height, :width, None]
        pixels = (pixels + threshold * _BAYER_SPREAD).clip(0, 255).astype(np.uint8)
    diffusion = Image.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else Image.Dither.NONE
    indices = _pixels(Image.fromarray(pixels).quantize(palette=table, dither=diffusion))
    # The table's last color is a repetition, and its index means something else here.
    return np.minimum(indices, np.uint8(_NUM_COLORS - 1))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image, dtype=np.uint8)


def _image(indices: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(indices))


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
