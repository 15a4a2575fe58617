"""Where the networks that make frames in between lie, and what they run on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animatediff_webui.media.errors import MediaError


@dataclass(frozen=True)
class InterpolationModels:
    """`folder`: where their files are, None where nobody has said. `named_by`: how the user names it.

    `device` is PyTorch's name of the host's device.
    """

    folder: Path | None = None
    named_by: str = "interp_models"
    device: str = "cpu"

    def missing(self, method: str, found: str) -> MediaError:
        """That a method does not find its files; `found` is what it looked for, such as "a file a.pt"."""
        if self.folder is None:
            return MediaError(f"interp is {method}, which needs {found}: name its folder by {self.named_by}.")
        return MediaError(
            f"interp is {method}, but there is not {found} in {self.folder}: put it there, or name another "
            f"folder by {self.named_by}."
        )
