"""A request before the host begins with it: what it asks for, and how it becomes one for clips."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modules import devices, shared

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.infotext import KEY, format_value
from animatediff_webui.core.notes import NOTE_KEY
from animatediff_webui.core.parameters import Parameters, refuse_unsupported
from animatediff_webui.core.plan import Plan, build_plan, joint_limits
from animatediff_webui.media.naming import check_output
from animatediff_webui.motion_control import Ensemble, StepValues, read_ensemble, read_steps
from motion_module.module import MotionModule

from .controlnet.units import ControlFrames, UnitFrames, check_keyframes, filled_units, find_units
from .host_types import ImageRequest, Request, Texts, is_image_request
from .masks import MASKS_ATTRIBUTE, init_with_masks
from .patches import replaced, wrapped
from .readable import readable_path
from .settings import Settings

if TYPE_CHECKING:
    from .loras import LoraLibrary
    from .motion_modules import ModuleLibrary


@dataclass(frozen=True)
class Prepared:
    """A request that was read and checked: what its clips have in common.

    `infotext` is its value in the infotext, `plan` that of a clip without prompts, `guidance` the CFG scale
    over steps, where it changes; `source_frames` are the pictures that img2img was given, where they are
    several: each is a frame.
    """

    parameters: Parameters
    settings: Settings
    ensemble: Ensemble
    infotext: str
    source_frames: int | None
    units: tuple[UnitFrames, ...]
    plan: Plan
    guidance: StepValues | None

    @property
    def module(self) -> MotionModule:
        """The first motion module, whose wishes count."""
        return self.ensemble.modules[0].module

    def plan_with(self, prompt: str, negative_prompt: str) -> Plan:
        """The plan of a clip with these prompts. Raises the user's errors."""
        return build_plan(
            self.parameters,
            module=joint_limits([each.module.spec for each in self.ensemble.modules]),
            prompt=prompt,
            negative_prompt=negative_prompt,
            source_frames=self.source_frames,
        )


def prepare(
    p: Request, parameters: Parameters, settings: Settings, modules: ModuleLibrary, loras: LoraLibrary
) -> Prepared:
    """Choose the motion module, and refuse what cannot be done. Raises the user's errors."""
    refuse_unsupported(parameters, "the WebUI")
    further = [each.model for each in parameters.motion.modules.modules]
    module, *others = modules.load_all(parameters.model, further, devices.dtype_unet)
    limits = joint_limits([each.spec for each in (module, *others)])
    value = format_value(parameters, model=module.name, model_hash=modules.short_hash(module.name))
    num_pictures = len(p.init_images or ()) if is_image_request(p) else 0
    units = tuple(find_units(p, lambda text: readable_path(p, text)))
    lengths = [length for unit in units if (length := unit.num_frames) is not None]
    if num_pictures > 1:
        lengths.append(num_pictures)
    source_frames = min(lengths, default=None)
    plan = build_plan(parameters, module=limits, source_frames=source_frames)
    check_keyframes(units, plan.num_frames)
    check_output(Path(p.outpath_samples), parameters.output.request_id)
    ensemble = read_ensemble(
        plan, [module, *others], p.steps, find=lambda text: readable_path(p, text), find_lora=loras.require
    )
    guidance = _read_guidance(p, parameters)
    return Prepared(parameters, settings, ensemble, value, source_frames, units, plan, guidance)


def _read_guidance(p: Request, parameters: Parameters) -> StepValues | None:
    """The CFG scale over steps. Raises ParameterError where the host does not guide."""
    guidance = read_steps(parameters.cfg_schedule, p.steps, "cfg_schedule")
    if guidance is not None and p.cfg_scale <= 0:
        raise ParameterError(
            f"cfg_schedule is {str(parameters.cfg_schedule)!r}, but the CFG scale is {p.cfg_scale:g}: set it "
            "above 0."
        )
    return guidance


@contextmanager
def reshaped(p: Request, prepared: Prepared) -> Generator[None, None, None]:
    """Inside, a batch of the request is one clip, and each picture that was asked for is a batch."""
    num_frames = prepared.plan.num_frames
    with ExitStack() as stack:
        for name, value in _clip_fields(p, prepared, num_frames).items():
            stack.enter_context(replaced(p, name, value))
        stack.enter_context(filled_units(p, prepared.units, ControlFrames(), num_frames))
        if is_image_request(p) and len(p.init_images) > 1:
            _enter_pictures(stack, p, num_frames)
        yield


def notes_for_user(prepared: Prepared) -> list[str]:
    """What the user should know before sampling."""
    return [*prepared.plan.notes, *prepared.ensemble.notes, *_schedule_notes()]


def write_record(p: Request, prepared: Prepared) -> None:
    """Tell the infotexts of all pictures what makes them."""
    p.extra_generation_params[KEY] = prepared.infotext


def forget_record(p: Request) -> None:
    """Take out what a run has told the infotexts: the cells of a grid share one dict."""
    for key in (KEY, NOTE_KEY):
        p.extra_generation_params.pop(key, None)


def _clip_fields(p: Request, prepared: Prepared, num_frames: int) -> dict[str, object]:
    """The request's fields that are others for clips."""
    fields: dict[str, object] = {
        "batch_size": num_frames,
        "n_iter": p.n_iter * p.batch_size,
        "do_not_save_grid": True,
        "do_not_save_samples": p.do_not_save_samples or prepared.settings.frames_beside_video,
    }
    prompts: dict[str, Texts] = {"prompt": p.prompt, "negative_prompt": p.negative_prompt}
    for name, texts in prompts.items():
        if isinstance(texts, list):
            fields["n_iter"] = len(texts)
            fields[name] = [text for text in texts for _ in range(num_frames)]
    offset = prepared.parameters.noise.offset
    if isinstance(p.seed, list):
        fields["seed"] = [int(seed) + offset * frame for seed in p.seed for frame in range(num_frames)]
    elif offset != 1:
        first = random.randrange(2**32) if p.seed == -1 else int(p.seed)
        starts = (first + num_frames * clip for clip in range(cast("int", fields["n_iter"])))
        fields["seed"] = [start + offset * frame for start in starts for frame in range(num_frames)]
    return fields


def _enter_pictures(stack: ExitStack, p: ImageRequest, num_frames: int) -> None:
    """Of several pictures, each is a frame, and so is each of their masks."""
    stack.enter_context(replaced(p, "init_images", p.init_images[:num_frames]))
    masks = getattr(p, MASKS_ATTRIBUTE, None)
    if masks:
        stack.enter_context(wrapped(p, "init", lambda original: init_with_masks(p, masks)))


def _schedule_notes() -> list[str]:
    """The user's own changes of the schedule stay; the motion module may not be trained for them."""
    changes: list[str] = []
    schedule: object = getattr(shared.opts, "sd_noise_schedule", "Default")
    if schedule != "Default":
        changes.append(f'the noise schedule "{schedule}"')
    if getattr(shared.opts, "use_downcasted_alpha_bar", False):
        changes.append("downcast alphas")
    return [
        f"Settings ask for {change}, which this motion module was not trained with: if the colours are "
        "wrong, switch it off."
        for change in changes
    ]
