"""Where the embedded model's files are, and what it is best run with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animatediff_webui.hosts.diffusers.image_settings import ImageKeywords

NAME = "embedded"
"""What infotexts call it."""
FOLDER = Path(__file__).resolve().parent / "weights"
MOTION_MODULE = FOLDER / "motion" / "embedded_v3.safetensors"
LORA_FOLDER = FOLDER / "lora"
IMAGE_DEFAULTS: ImageKeywords = {"steps": 10, "cfg_scale": 3.0}


def is_complete() -> bool:
    """Whether the model's files are there (a clone without them can still run other checkpoints)."""
    return (FOLDER / "model_index.json").is_file() and MOTION_MODULE.is_file()
