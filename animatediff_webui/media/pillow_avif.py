"""AVIF in Pillow: built in since 11.3, before that by a plugin that has to be imported once."""

from __future__ import annotations

from importlib import import_module

from PIL import Image


def avif_available() -> bool:
    """Whether Pillow reads and writes AVIF here."""
    Image.init()
    if "AVIF" not in Image.SAVE_ALL:
        try:
            import_module("pillow_avif")
        except ImportError:
            return False
    return "AVIF" in Image.SAVE_ALL
