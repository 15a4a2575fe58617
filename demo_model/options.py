"""What loads the embedded model."""

from __future__ import annotations

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers.model_options import ModelOptions

from . import files


def model_options() -> ModelOptions:
    """The options that load it. Raises UserError where its files are not there."""
    if not files.is_complete():
        raise UserError(
            f"The embedded model is not in {files.FOLDER}: clone the repository again, whole, or name "
            "another model with --checkpoint."
        )
    return ModelOptions(checkpoint=files.FOLDER, motion_module=files.MOTION_MODULE, title=files.NAME)
