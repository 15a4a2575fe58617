"""A sampled clip: its latents, and how frames and files are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from animatediff_webui.core.errors import shown
from animatediff_webui.core.plan import Plan
from animatediff_webui.media.animation import WrittenFile
from animatediff_webui.media.errors import MediaError
from animatediff_webui.media.options import WriterOptions
from animatediff_webui.session import Session

from .files import read_output, shown_path
from .library_messages import quiet_libraries
from .pipelines import Pipeline
from .vae import decode_frames


@dataclass(frozen=True)
class Clip:
    """A sampled clip: latents `f c h w`, and how to make frames and files of them.

    `lock` is the animator's: while frames are decoded, it does nothing else. `notes` are sentences for the
    user.
    """

    latents: torch.Tensor
    session: Session
    infotext: str
    width: int
    height: int
    stopped_at_step: int | None
    pipeline: Pipeline
    device: torch.device
    lock: AbstractContextManager[object]
    notes: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        return self.session.seed

    @property
    def plan(self) -> Plan:
        return self.session.plan

    def frames(self) -> Iterator[Image.Image]:
        """All generated frames in order, each decoded when it is asked for. Raises NotFiniteError."""
        return decode_frames(self.pipeline.vae, self.latents, device=self.device, lock=self.lock)

    def save(self, folder: Path | str = "outputs", options: WriterOptions | None = None) -> list[WrittenFile]:
        """Write the formats of the plan below `folder`.

        Where decoding ends early, by an error or by Ctrl-C, the files hold the frames that were ready, and
        say so. Raises MediaError where nothing can be written there.
        """
        place = read_output(folder, "The output folder")
        _check_options(options)
        before = len(self.session.files)
        try:
            with quiet_libraries():
                self.session.write(self.frames(), place, self.infotext, options)
        except OSError as error:
            raise MediaError(
                f"The clip cannot be written to {shown_path(place)} ({error.strerror or error}): make room "
                "there, or choose another folder."
            ) from error
        return self.session.files[before:]


def _check_options(options: object) -> None:
    if options is not None and not isinstance(options, WriterOptions):
        raise MediaError(f"options is {shown(options)}, but must be WriterOptions.")
