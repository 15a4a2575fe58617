"""LoRAs by file or by tag: their layers for the motion module, and those for the picture."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.lora_tags import find_lora_tags
from animatediff_webui.core.prompt_travel import PromptTrack
from motion_module.errors import NotAMotionLoraError
from motion_module.lora.strengths import unmatched_layers
from motion_module.lora.weights import MotionLora, load_motion_lora, peft_state_dict
from motion_module.module import MotionModule
from motion_module.weights_files import files_below

from .files import one_line
from .pipelines import Pipeline
from .results import NotEnoughMemoryError, memory_explained

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)\s*")


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
    """A chosen LoRA's layers; None, and why, where at most diffusers knows the file's format."""

    chosen: ChosenLora
    layers: MotionLora | None
    why_unknown: str = ""

    @property
    def is_temporal(self) -> bool:
        return self.layers is not None and bool(self.layers.temporal)

    @property
    def is_spatial(self) -> bool:
        return self.layers is None or bool(self.layers.spatial or self.layers.others)


def parse_lora_option(text: str) -> ChosenLora:
    """`FILE` or `FILE:STRENGTH`. Raises UserError for no name at all; the file is looked for later."""
    path, _, strength = text.rpartition(":")
    if path and _NUMBER.fullmatch(strength):
        return ChosenLora(_named(path, text), float(strength))
    return ChosenLora(_named(text, text))


def take_tags(track: PromptTrack, folders: Sequence[Path]) -> tuple[PromptTrack, list[ChosenLora]]:
    """The track without LoRA tags, and the LoRAs: a keyframe's by frame, the others for the whole clip.

    Raises UserError for a name that is in none of the folders, and for a strength that is no number.
    """
    strengths: dict[str, float] = {}
    for prompt in track.prompts:
        for tag in find_lora_tags(prompt):
            strengths[tag.name] = tag.strength
    chosen: list[ChosenLora] = []
    for name, strength in (*strengths.items(), *track.lora_strengths.items()):
        chosen.append(ChosenLora(find_lora(name, folders), strength))
    if not strengths:
        return track, chosen
    return replace(track, prompts=tuple(map(_without_tags, track.prompts))), chosen


def find_lora(name: str, folders: Sequence[Path]) -> Path:
    """The file of that name (without suffix) in the folders or below them."""
    paths: dict[str, Path] = {}
    for folder in folders:
        for path in files_below(folder):
            paths.setdefault(path.stem, path)
    if name in paths:
        return paths[name]
    known, places = ", ".join(paths) or "none", ", ".join(map(str, folders))
    raise UserError(
        f"There is no LoRA {name} in {places} (there are: {known}): check the name, or use --lora-dir."
    )


def load_lora(chosen: ChosenLora) -> LoadedLora:
    """The layers of a LoRA's file. Raises UserError and MotionModuleError where it is none."""
    try:
        return LoadedLora(chosen, load_motion_lora(chosen.path))
    except NotAMotionLoraError as error:
        return LoadedLora(chosen, None, str(error))


@contextmanager
def spatial_loras(pipeline: Pipeline, loras: Sequence[LoadedLora]) -> Generator[None, None, None]:
    """Inside, the LoRAs' spatial layers act on the pipeline, at one strength for the whole clip."""
    spatial = [lora for lora in loras if lora.is_spatial]
    if not spatial:
        yield
        return
    names = [f"lora{index}" for index in range(len(spatial))]
    try:
        for name, lora in zip(names, spatial, strict=True):
            _load_into(pipeline, lora, name)
        pipeline.set_adapters(names, [lora.chosen.peak for lora in spatial])
        yield
    finally:
        pipeline.unload_lora_weights()


def lora_notes(loras: Sequence[LoadedLora], module: MotionModule | None) -> Iterator[str]:
    """What a user should know about LoRAs that do less than was asked."""
    for lora in loras:
        name = lora.chosen.path.stem
        if lora.is_spatial and isinstance(lora.chosen.strength, tuple):
            strength = f"{lora.chosen.peak:g}"
            yield f"LoRA {name} changes the picture, so it acts on the whole clip, at strength {strength}."
        if lora.layers is None or not lora.is_temporal:
            continue
        if module is None:
            yield f"LoRA {name} changes motion, but there is no motion module: it does nothing."
        elif missing := unmatched_layers(module, lora.layers):
            yield f"LoRA {name} was made for another family: {len(missing)} of its layers have no place here."


def _load_into(pipeline: Pipeline, lora: LoadedLora, name: str) -> None:
    layers = lora.layers
    source = str(lora.chosen.path)
    if layers is not None and (lora.is_temporal or not layers.others):
        source = peft_state_dict(layers)
    try:
        with memory_explained():
            pipeline.load_lora_weights(source, adapter_name=name)
    except NotEnoughMemoryError:
        raise
    except Exception as error:  # what diffusers and PEFT raise for unfit files has no class in common
        raise UserError(
            lora.why_unknown
            or f"The LoRA {lora.chosen.path.name} does not fit this checkpoint: {one_line(error)}"
        ) from error
    if not any(name in adapters for adapters in pipeline.get_list_adapters().values()):
        raise UserError(
            lora.why_unknown
            or f"The LoRA {lora.chosen.path.name} has no layer of this checkpoint: choose one for its kind."
        )


def _without_tags(prompt: str) -> str:
    """A prompt without its tags, and without the blanks and commas before them and at its ends."""
    for tag in find_lora_tags(prompt):
        prompt = re.sub(rf"[ ,]*{re.escape(tag.text)}", "", prompt)
    return prompt.strip(" ,")


def _named(path: str, option: str) -> Path:
    if not path.strip():
        raise UserError(f"--lora is {option!r}, but must name a file: write FILE or FILE:STRENGTH.")
    return Path(path)
