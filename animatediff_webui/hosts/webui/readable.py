"""Which files and folders a request may name.

Who sits at the page may name any, as in the host's own batch tab, unless the host was told to hide folders
from the page. A client of the API may name what the host itself may hand out: its allowed paths; where it has
none, its output folders and the one for temporary files.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from modules import shared

from animatediff_webui.core.errors import UserError
from animatediff_webui.media.readers.local import local_path

_OUTPUT_FOLDERS = (
    "outdir_samples", "outdir_txt2img_samples", "outdir_img2img_samples", "outdir_extras_samples",
    "outdir_grids", "outdir_txt2img_grids", "outdir_img2img_grids", "outdir_save",
)  # fmt: skip


def readable_path(text: str, *, is_api: bool) -> Path:
    """The existing file or folder that a request names. Raises UserError where it may not name it."""
    path = local_path(text.strip().strip('"'))
    if is_api or getattr(shared.cmd_opts, "hide_ui_dir_config", False):
        real = path.resolve()
        if not any(real.is_relative_to(folder) for folder in _allowed_folders()):
            raise UserError(
                f"{text} is outside the folders that the API may read from: start the WebUI with "
                "--gradio-allowed-path and that folder, or send a small file as base64."
            )
    return path


def _allowed_folders() -> list[Path]:
    """Without links, because a link may lead out of a folder."""
    allowed: list[str] = list(getattr(shared.cmd_opts, "gradio_allowed_path", None) or ())
    if not allowed:
        named: list[object] = [getattr(shared.opts, name, None) for name in _OUTPUT_FOLDERS]
        allowed = [str(folder) for folder in named if folder]
    # Uploads lie in the folder for temporary files.
    allowed += [tempfile.gettempdir(), str(getattr(shared.opts, "temp_dir", "") or tempfile.gettempdir())]
    return [Path(folder).resolve() for folder in allowed]
