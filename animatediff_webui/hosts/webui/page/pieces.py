"""Small pieces of HTML that several places of the page show."""

from __future__ import annotations

from html import escape

from PIL import Image

from animatediff_webui.core.image import encode_image

THUMBNAIL = 160
"""Pixels of the longer side."""


def warning_html(sentence: str) -> str:
    """A sentence that says what has to be changed."""
    return f'<div class="animatediff-warning">{escape(sentence)}</div>'


def figure_html(picture: Image.Image, caption: str) -> str:
    """A picture, small, with a line below it."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    image = f'<img src="{encode_image(small)}" alt="{caption}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
