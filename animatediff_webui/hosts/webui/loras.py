"""Motion LoRAs and domain adapters by the WebUI's own syntax, `<lora:name:strength>`.

The host's loader does not know these files, so their tags are taken out of the prompts before it reads them;
every other tag stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from animatediff_webui.core.lora_tags import take_lora_tags
from motion_module.errors import MotionModuleError, NotAMotionLoraError
from motion_module.lora.weights import MotionLora, build_motion_lora
from motion_module.weights_files import files_below, read_weights

# Names that the host's own loader understands.
_HOSTS_NAMES = ("lora_unet_", "lora_te", "diffusion_model.")


@dataclass(frozen=True)
class ActiveLora:
    """A LoRA of ours, with its strength, or with one strength per frame."""

    lora: MotionLora
    strength: float | tuple[float, ...]


class LoraLibrary:
    """The LoRA files of ours, among all those in the host's folders."""

    def __init__(self, folders: Callable[[], Sequence[Path]]) -> None:
        self._folders = folders

    def take(self, prompts: Sequence[str]) -> tuple[list[str], dict[str, ActiveLora]]:
        """The prompts without our tags, and what the first prompt's tags ask for, by name.

        The first prompt's, because the host, too, takes those of a batch's first prompt for all of it.
        Raises LoraTagError.
        """
        ours: dict[str, MotionLora | None] = {}

        def is_ours(name: str) -> bool:
            if name not in ours:
                ours[name] = self.find(name)
            return ours[name] is not None

        taken = [take_lora_tags(prompt, is_ours) for prompt in prompts]
        active: dict[str, ActiveLora] = {}
        for tag in taken[0][1]:
            lora = ours[tag.name]
            if lora is not None:
                active[tag.name] = ActiveLora(lora, tag.strength)
        return [text for text, _ in taken], active

    def find(self, name: str) -> MotionLora | None:
        """The LoRA of that name if it is one of ours."""
        path = self._paths().get(name)
        if path is None:
            return None
        status = path.stat()
        return _load(path, status.st_mtime_ns, status.st_size)

    def _paths(self) -> Mapping[str, Path]:
        """Name as in a tag -> file: the file's name without its suffix, sub-folders left out."""
        paths: dict[str, Path] = {}
        for folder in self._folders():
            for path in files_below(folder):
                paths.setdefault(path.stem, path)
        return paths


@lru_cache(maxsize=8)
def _load(path: Path, modified: int, size: int) -> MotionLora | None:
    """A file of ours; None for one that the host's loader knows, or that is no LoRA at all."""
    try:
        tensors = read_weights(path).tensors
    except MotionModuleError:
        return None
    try:
        lora = build_motion_lora(tensors, path.stem)
    except NotAMotionLoraError:
        return None
    is_hosts = not lora.temporal and any(key.startswith(_HOSTS_NAMES) for key in tensors)
    return None if is_hosts else lora
