"""Several clips side by side, in one that moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from animatediff_webui.media.animation import write_animation
from animatediff_webui.media.naming import reserved_stem
from animatediff_webui.media.readers import FrameSource, read_frames

FORMATS = ("WEBP",)


@dataclass(frozen=True)
class Cell:
    """A still picture, and the video whose first frame it is, if it is one."""

    image: Image.Image
    video: Path | str | None = None


def write_grid(cells: Sequence[Cell], columns: int, folder: Path, *, fps: float) -> Path:
    """Write the animated grid below `folder`, at the speed of the first video; returns its path.

    Raises MediaError and OSError.
    """
    sources = [read_frames(Path(cell.video)) if cell.video else None for cell in cells]
    speed = next((source.fps for source in sources if source is not None and source.fps), fps)
    frames = grid_frames(cells, sources, columns)
    with reserved_stem(folder, 0, "xyz-grid") as stem:
        (written,) = write_animation(frames, stem, FORMATS, fps=speed)
    if written.error is not None:
        raise OSError(written.error)
    return written.path


def grid_frames(
    cells: Sequence[Cell], sources: Sequence[FrameSource | None], columns: int
) -> Iterator[Image.Image]:
    """The grid's frames, one at a time: a cell stays at its last frame once its clip is over."""
    width = max(cell.image.width for cell in cells)
    height = max(cell.image.height for cell in cells)
    rows = -(-len(cells) // columns)
    clips: list[Iterator[Image.Image]] = []
    for cell, source in zip(cells, sources, strict=True):
        clips.append(iter(source) if source is not None else iter([cell.image.convert("RGB")]))
    shown: list[Image.Image] = [cell.image for cell in cells]
    while True:
        frames = [next(clip, None) for clip in clips]
        if not any(frames):
            return
        shown = [frame or last for frame, last in zip(frames, shown, strict=True)]
        grid = Image.new("RGB", (columns * width, rows * height))
        for index, image in enumerate(shown):
            left = index % columns * width + (width - image.width) // 2
            top = index // columns * height + (height - image.height) // 2
            grid.paste(image, (left, top))
        yield grid
