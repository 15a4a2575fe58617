"""Contact sheets: one clip a row, its prompt above it."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

CAPTION_HEIGHT = 14


def draw_sheet(rows: Sequence[tuple[str, Sequence[Image.Image]]], columns: int = 8) -> Image.Image:
    """A picture of clips, `columns` frames of each, evenly spaced; `rows` are captions with frames."""
    width, height = rows[0][1][0].size
    sheet = Image.new("RGB", (columns * width, len(rows) * (height + CAPTION_HEIGHT)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (caption, frames) in enumerate(rows):
        top = row * (height + CAPTION_HEIGHT)
        pen.text((3, top + 1), caption, fill="black")
        for column in range(columns):
            frame = frames[column * (len(frames) - 1) // max(1, columns - 1)]
            sheet.paste(frame, (column * width, top + CAPTION_HEIGHT))
    return sheet
