"""A VAE of the user's own, from its file or folder."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch

from animatediff_webui.core.errors import UserError
from motion_module.inspection import check_kind, inspect_file
from motion_module.kinds import IMAGE_CHECKPOINT, VAE

from .files import existing, one_line, shown_path
from .pipelines import Vae, VaeClass
from .results import NotEnoughMemoryError, memory_explained


def load_vae(path: Path, configuration: Path, dtype: torch.dtype) -> Vae:
    """A VAE from a file or a diffusers folder; `configuration` says how the latents of a file are scaled.

    Raises UserError and MotionModuleError where it is not there, is something else, or is damaged.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    vae_class = cast("VaeClass", AutoencoderKL)
    is_folder = existing(path, "VAE").is_dir()
    if not is_folder:
        _check_is_vae(path)
    try:
        with memory_explained():
            if is_folder:
                return vae_class.from_pretrained(path, dtype=dtype, local_files_only=True)
            return vae_class.from_single_file(
                str(path), config=str(configuration), subfolder="vae", dtype=dtype, local_files_only=True
            )
    except NotEnoughMemoryError:
        raise
    except Exception as error:  # what libraries raise for unfit files has no class in common
        raise UserError(f"The VAE {shown_path(path)} cannot be loaded: {one_line(error)}") from error


def _check_is_vae(path: Path) -> None:
    """A whole checkpoint is as good: it has a VAE in it."""
    file = inspect_file(path)
    if file.kind is not IMAGE_CHECKPOINT or "VAE" in file.missing_parts:
        check_kind(file, VAE)
