"""What made a clip, as the WebUI writes it and reads it back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animatediff_webui.core.infotext import format_field
from animatediff_webui.core.notes import NOTE_KEY
from animatediff_webui.core.plan import Plan

if TYPE_CHECKING:
    from .guides.settings import Network
    from .image_settings import ImageSettings


@dataclass(frozen=True)
class Origin:
    """What a clip was made with: `model` and `motion_module` are names, `size` is width and height, and
    `networks` steered it."""

    model: str
    motion_module: str | None
    seed: int
    size: tuple[int, int]
    networks: Sequence[Network] = ()


def format_infotext(plan: Plan, image: ImageSettings, origin: Origin, stopped_at_step: int | None) -> str:
    """The prompts on lines of their own, then everything else in one."""
    values: dict[str, object] = {
        "Steps": image.steps,
        "Sampler": image.sampler_name,
        "Schedule type": image.scheduler,
        "CFG scale": f"{image.cfg_scale:g}",
        "Seed": origin.seed,
        "Size": f"{origin.size[0]}x{origin.size[1]}",
        "Model": origin.model,
    }
    if image.clip_skip > 1:
        values["Clip skip"] = image.clip_skip
    if image.denoising_strength is not None:
        values["Denoising strength"] = f"{image.denoising_strength:g}"
    for network in origin.networks:
        number = sum(key.startswith(f"{network.title} ") for key in values)
        values[f"{network.title} {number}"] = _quoted(network)
    if stopped_at_step is not None:
        values[NOTE_KEY] = f"interrupted at step {stopped_at_step}"
    lines = [plan.prompt_track.text]
    if image.negative_prompt:
        lines.append(f"Negative prompt: {image.negative_prompt}")
    settings = [f"{key}: {value}" for key, value in values.items()]
    lines.append(", ".join([*settings, format_field(plan.parameters, model=origin.motion_module)]))
    return "\n".join(lines)


def _quoted(network: Network) -> str:
    """A network's settings in one value, as sd-webui-controlnet writes its units'."""
    facts = ", ".join(f"{key}: {value}" for key, value in network.facts.items())
    return json.dumps(facts, ensure_ascii=False)
