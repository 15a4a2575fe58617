"""sd-webui-controlnet itself, as types and as it is found in a request.

Read from the sources of its release 1.1.455; found by what a script has, never by its name.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeGuard, cast

import torch

from animatediff_webui.core.errors import UserError, shown, shown_text
from animatediff_webui.hosts.webui.host_types import Request, Script
from motion_module.errors import MotionModuleError
from motion_module.kinds import SPARSECTRL_ENCODER, detect_kind
from motion_module.weights_files import read_shapes


class Unit(Protocol):
    """A ControlNetUnit: what one network is given.

    `image` is the unit's own picture, or several with their masks. `batch_images` names a folder in its first
    line, and in others `mask:FOLDER` and `keyframe:0,6,12`; `animatediff_batch` lets ControlNet read it.
    """

    enabled: bool
    model: str
    input_mode: Enum
    image: object
    batch_images: object
    ipadapter_input: object
    animatediff_batch: bool
    batch_modifiers: Sequence[object]
    batch_image_files: Sequence[str]
    batch_keyframe_idx: Sequence[int] | None
    save_detected_map: bool

    @property
    def is_ipadapter(self) -> bool: ...

    @property
    def is_inpaint(self) -> bool: ...

    def copy(self, *, update: Mapping[str, object]) -> Unit: ...


class _Preprocessor(Protocol):
    """One of its preprocessors: `name` is the API's, `label` the page's."""

    name: str
    label: str


class _Models(Protocol):
    """Its models: files by full names, with a hash, and those by names in small letters."""

    cn_models: Mapping[str, str | None]
    cn_models_names: Mapping[str, str]


class ImageEmbed(Protocol):
    """A picture's embedding for IP-Adapter, `f t c` for the prompt and `1 t c` for the negative one."""

    cond_emb: torch.Tensor
    uncond_emb: torch.Tensor

    def __init__(self, cond_emb: torch.Tensor, uncond_emb: torch.Tensor) -> None: ...


class ImageEncoder(Protocol):
    """What turns a preprocessor's output into an embedding."""

    def get_image_emb(self, preprocessor_output: object) -> ImageEmbed: ...


class IPAdapter(Protocol):
    """An IP-Adapter in the UNet: `cache` holds keys and values made from `image_emb`."""

    ipadapter: ImageEncoder
    image_emb: ImageEmbed
    cache: MutableMapping[str, torch.Tensor]


class LLLiteLayer(Protocol):
    """A layer of ControlLLLite, which embeds its picture `f c h w` when it is first called."""

    cond_image: torch.Tensor

    def set_cond_image(self, cond_image: torch.Tensor) -> None: ...


class ControlParams(Protocol):
    """A unit that is prepared: `hint_cond` is `f c h w`, or what an IP-Adapter's preprocessor gave for each
    picture; `hr_hint_cond` is the same in the size of hires fix."""

    control_model: Any  # which class it is of, the kind of the unit decides
    hint_cond: object
    hr_hint_cond: object


class Network(Protocol):
    """What is hooked to the UNet for one request; without parameters once it is unhooked."""

    control_params: Sequence[ControlParams] | None


class ControlNetScript(Script, Protocol):
    """sd-webui-controlnet's script; `enabled_units` and the network's parameters are in the same order."""

    enabled_units: Sequence[Unit]
    latest_network: Network | None


def find_script(p: Request) -> ControlNetScript | None:
    """sd-webui-controlnet's script among the request's."""
    for script in p.scripts.alwayson_scripts if p.scripts is not None else ():
        if _is_controlnet(script):
            return script
    return None


def read_unit(argument: object, number: int) -> Unit | None:
    """A script argument as a unit: one already, or a dict of the API's; None where it is neither.

    Raises UserError, which calls it unit `number`, where ControlNet refuses what is in it.
    """
    if not isinstance(argument, Mapping):
        return argument if _is_unit(argument) else None
    values = cast("Mapping[str, object]", argument)
    external_code = sys.modules["scripts.external_code"]
    try:
        unit: Unit = external_code.to_processing_unit(values)
    except (ValueError, TypeError, AssertionError) as error:  # pydantic's among them
        raise UserError(_why_refused(values, number, error)) from error
    return unit


def _why_refused(values: Mapping[str, object], number: int, error: Exception) -> str:
    module, known = values.get("module"), _preprocessors()
    if module is not None and not any(module in (each.name, each.label) for each in known):
        names = ", ".join(each.name for each in known)
        return f"ControlNet's unit {number} has the module {shown(module)}, but must have one of {names}."
    # pydantic's message is of several lines: what is wrong, field by field, behind a heading.
    lines = [line.strip() for line in str(error).splitlines()]
    reason = ": ".join(lines[1:3] if len(lines) > 2 else lines).partition(" (type=")[0]
    return f"ControlNet refuses its unit {number} ({shown_text(reason)}): correct it."


def _preprocessors() -> Sequence[_Preprocessor]:
    found: Sequence[_Preprocessor] = sys.modules[
        "scripts.supported_preprocessor"
    ].Preprocessor.get_sorted_preprocessors()
    return found


def model_names() -> list[str]:
    """Those of ControlNet's models, as its page lists them."""
    models = cast("_Models", sys.modules["scripts.global_state"]).cn_models
    return [name for name, path in models.items() if path is not None]


def find_model(name: str) -> Path | None:
    """The file that ControlNet takes for a model's name: that of this name, else of the shortest with it."""
    models = cast("_Models", sys.modules["scripts.global_state"])
    parts = [each for each in models.cn_models_names if name.lower() in each]
    full = name if name in models.cn_models or not parts else models.cn_models_names[min(parts, key=len)]
    path = models.cn_models.get(full)
    return None if path is None else Path(path.strip('"'))


def is_sparsectrl(unit: Unit) -> bool:
    """Whether a unit's model is one."""
    path = find_model(unit.model)
    with suppress(MotionModuleError):  # what ControlNet reads and we do not is something else
        return path is not None and detect_kind(read_shapes(path).shapes) is SPARSECTRL_ENCODER
    return False


def _is_controlnet(script: Script) -> TypeGuard[ControlNetScript]:
    return hasattr(script, "latest_network") and hasattr(script, "enabled_units")


def _is_unit(argument: object) -> TypeGuard[Unit]:
    return hasattr(argument, "batch_image_files") and hasattr(argument, "enabled")
