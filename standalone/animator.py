"""The animator of this door: the engine's, which without a checkpoint takes the embedded model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from animatediff_webui.hosts.diffusers import animator
from animatediff_webui.hosts.diffusers.loras import ChosenLora
from animatediff_webui.hosts.diffusers.model_options import ModelOptions, read_model_options
from demo_model import files
from demo_model.options import model_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from animatediff_webui.hosts.diffusers.model_options import ModelKeywords


class Animator(animator.Animator):
    """A checkpoint with a motion module, loaded once, for any number of clips.

    Keywords are those of `ModelOptions`; without `checkpoint` it is the embedded model, which brings networks
    along. LoRAs that tags in prompts name are looked up in `lora_folders`, and among the embedded model's.
    `verbose` lets libraries say what they like. Threads may share an animator: it makes one clip at a time,
    and the others wait.
    """

    def __init__(
        self,
        options: ModelOptions | None = None,
        *,
        loras: Iterable[ChosenLora] = (),
        lora_folders: Iterable[Path | str] = (),
        verbose: bool = False,
        **keywords: Unpack[ModelKeywords],
    ) -> None:
        given = {name: value for name, value in keywords.items() if value is not None}
        is_embedded = options is None and "checkpoint" not in given
        super().__init__(
            read_model_options(model_options() if is_embedded else options, given),
            loras=loras,
            lora_folders=lora_folders,
            network_folder=files.FOLDER if is_embedded else None,
            image_defaults=files.IMAGE_DEFAULTS if is_embedded else None,
            verbose=verbose,
        )
        self.lora_folders = (*self.lora_folders, files.LORA_FOLDER)
