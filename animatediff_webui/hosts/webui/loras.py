"""Motion LoRAs and domain adapters by the WebUI's own syntax, `<lora:name:strength>`.

The host's loader does not know these files, so their tags are taken out of the prompts before it reads them;
every other tag stays.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from animatediff_webui.core.errors import UserError
from motion_module import MotionLora, MotionModuleError, NotAMotionLoraError, build_motion_lora
from motion_module.weights_files import read_weights

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
# Names that the host's own loader understands.
_HOSTS_NAMES = ("lora_unet_", "lora_te", "diffusion_model.")
_TAG = re.compile(r"<(?:lora|lyco):(?P<name>[^:<>]+)(?P<rest>(?::[^<>]*)?)>", re.IGNORECASE)


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
        """
        if not any(_TAG.search(prompt) for prompt in prompts):
            return list(prompts), {}
        active = {
            found["name"]: ActiveLora(lora, _strength(found))
            for found in _TAG.finditer(prompts[0])
            if (lora := self.find(found["name"])) is not None
        }
        return [_TAG.sub(lambda found: self._kept(found), prompt) for prompt in prompts], active

    def find(self, name: str) -> MotionLora | None:
        """The LoRA of that name if it is one of ours."""
        path = self._paths().get(name)
        if path is None:
            return None
        status = path.stat()
        return _load(path, status.st_mtime_ns, status.st_size)

    def _kept(self, found: re.Match[str]) -> str:
        return found[0] if self.find(found["name"]) is None else ""

    def _paths(self) -> Mapping[str, Path]:
        """Name as in a tag -> file: the file's name without its suffix, sub-folders left out."""
        found: dict[str, Path] = {}
        for folder in self._folders():
            for place, _, files in os.walk(folder, followlinks=True):
                for path in (Path(place, file) for file in sorted(files)):
                    if path.suffix.lower() in SUFFIXES:
                        found.setdefault(path.stem, path)
        return found


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


def _strength(found: re.Match[str]) -> float:
    """Of `<lora:name:te:unet>` the last number, which is the UNet's; nothing is 1."""
    numbers = found["rest"].split(":")[1:]
    named = dict(part.split("=", 1) for part in numbers if "=" in part)
    plain = [part for part in numbers if "=" not in part]
    text = named.get("unet") or named.get("te") or (plain[:2] or ["1"])[-1]
    try:
        return float(text)
    except ValueError:
        raise UserError(
            f"{found[0]} has the strength {text!r}, but it must be a number: write "
            f"<lora:{found['name']}:0.8>."
        ) from None
