"""LoRAs by file or by tag: their layers for the motion module, and those for the picture."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.prompt_travel import PromptTrack
from motion_module import MotionLora, NotAMotionLoraError, load_motion_lora

from .checkpoint import WEIGHTS

_TAG = re.compile(r"[ ,]*<lora:(?P<name>[^:<>]+)(?::(?P<strength>[^<>]*))?>", re.IGNORECASE)


@dataclass(frozen=True)
class ChosenLora:
    """A LoRA's file with its strength, or one strength per frame."""

    path: Path
    strength: float | tuple[float, ...] = 1.0

    @property
    def peak(self) -> float:
        """The strength furthest from 0."""
        return max(self.strength, key=abs) if isinstance(self.strength, tuple) else self.strength


@dataclass(frozen=True)
class LoadedLora:
    """A chosen LoRA's layers; None where only diffusers knows the file's format."""

    chosen: ChosenLora
    layers: MotionLora | None

    @property
    def is_temporal(self) -> bool:
        return self.layers is not None and bool(self.layers.temporal)

    @property
    def is_spatial(self) -> bool:
        return self.layers is None or bool(self.layers.spatial or self.layers.others)


def parse_lora_option(text: str) -> ChosenLora:
    """`FILE` or `FILE:STRENGTH`. Raises UserError where there is no such file."""
    path, _, strength = text.rpartition(":")
    if path and _is_number(strength):
        return ChosenLora(_existing(Path(path)), float(strength))
    return ChosenLora(_existing(Path(text)))


def take_tags(track: PromptTrack, folders: Sequence[Path]) -> tuple[PromptTrack, list[ChosenLora]]:
    """The track without LoRA tags, and the LoRAs: a keyframe's by frame, the others for the whole clip.

    Raises UserError for a name that is in none of the folders.
    """
    names: dict[str, float] = {}
    for found in (found for prompt in track.prompts for found in _TAG.finditer(prompt)):
        names[found["name"].strip()] = _tag_strength(found)
    chosen = [ChosenLora(find_lora(name, folders), strength) for name, strength in names.items()]
    by_frame = track.lora_strengths.items()
    chosen += [ChosenLora(find_lora(name, folders), tuple(strengths)) for name, strengths in by_frame]
    prompts = tuple(_TAG.sub("", prompt).strip(" ,") if names else prompt for prompt in track.prompts)
    return replace(track, prompts=prompts), chosen


def find_lora(name: str, folders: Sequence[Path]) -> Path:
    """The file of that name (without suffix) in the folders or below them."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in WEIGHTS]
    for path in files:
        if path.stem == name:
            return path
    known = ", ".join(dict.fromkeys(path.stem for path in files)) or "none"
    places = ", ".join(str(folder) for folder in folders)
    raise UserError(
        f"There is no LoRA {name} in {places} (there are: {known}): check the name, or use --lora-dir."
    )


def load_lora(chosen: ChosenLora) -> LoadedLora:
    """The layers of a LoRA's file."""
    try:
        return LoadedLora(chosen, load_motion_lora(chosen.path))
    except NotAMotionLoraError:
        return LoadedLora(chosen, None)


@contextmanager
def picture_loras(pipeline: Any, loras: Sequence[LoadedLora]) -> Generator[None, None, None]:
    """Inside, the LoRAs' spatial layers act on the pipeline, at one strength for the whole clip.

    (Any: a diffusers pipeline, which loads and takes off LoRAs by itself.)
    """
    spatial = [lora for lora in loras if lora.is_spatial]
    if not spatial:
        yield
        return
    try:
        for index, lora in enumerate(spatial):
            _load_into(pipeline, lora, f"lora{index}")
        names = [f"lora{index}" for index in range(len(spatial))]
        pipeline.set_adapters(names, [lora.chosen.peak for lora in spatial])
        yield
    finally:
        pipeline.unload_lora_weights()


def _load_into(pipeline: Any, lora: LoadedLora, name: str) -> None:
    from motion_module.lora.weights import peft_state_dict

    layers = lora.layers
    source: Any = str(lora.chosen.path)
    if layers is not None and (lora.is_temporal or not layers.others):
        source = peft_state_dict(layers)
    try:
        pipeline.load_lora_weights(source, adapter_name=name)
    # What diffusers and PEFT raise for unfit files.
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        text = " ".join(str(error).split())[:300]
        raise UserError(f"The LoRA {lora.chosen.path.name} does not fit this checkpoint: {text}") from error


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"--lora names {path}, but there is no such file: check the path.")
    return path


def _tag_strength(found: re.Match[str]) -> float:
    text = (found["strength"] or "1").split(":")[-1]
    if not _is_number(text):
        raise UserError(
            f"{found[0].strip(' ,')} has the strength {text!r}, but it must be a number: write "
            f"<lora:{found['name']}:0.8>."
        )
    return float(text)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text.strip()) is not None
