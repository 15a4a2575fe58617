"""A request before the host begins with it: what it asks for, and how it becomes one for clips."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modules import devices, paths, shared
from PIL import Image

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.infotext import KEY, format_value
from animatediff_webui.core.notes import NOTE_KEY
from animatediff_webui.core.parameters import Parameters
from animatediff_webui.core.plan import Plan, build_plan, joint_limits
from animatediff_webui.core.step_values import StepValues, read_steps
from animatediff_webui.media.interpolation.methods import check_method
from animatediff_webui.media.interpolation.models import InterpolationModels
from animatediff_webui.media.masks import read_mask
from animatediff_webui.media.naming import check_output
from animatediff_webui.media.poses import read_poses
from animatediff_webui.motion_control import Ensemble, read_ensemble, read_values
from motion_module.module import MotionModule
from motion_module.weight_values import DTYPES_TO_RUN_IN

from .controlnet.units import check_keyframes, filled_units, find_units, with_keyframes
from .host_types import Request, Texts, is_image_request
from .masks import MASKS_ATTRIBUTE, init_with_masks
from .patches import replaced, replaced_item, wrapped
from .readable import readable_path
from .settings import INTERPOLATION_PATH, Settings
from .source import RequestSource, read_pictures

if TYPE_CHECKING:
    from animatediff_webui.media.sources import ClipSource
    from motion_module.control import FrameValues

    from .loras import LoraLibrary
    from .motion_modules import ModuleLibrary


DENOISING_STRENGTH = 0.75
"""The host's own default in img2img; a client of txt2img need not send any."""


@dataclass(frozen=True)
class Prepared:
    """A request that was read and checked: what its clips have in common.

    `infotext` is its value in the infotext, `plan` that of a clip without prompts, in `num_steps`; `source`
    is what its frames come from, `guidance` the CFG scale over steps, where it changes, `noise_weights` the
    plan's, with masks read; `interpolation` says where networks that make frames in between are.
    """

    parameters: Parameters
    settings: Settings
    ensemble: Ensemble
    infotext: str
    source: RequestSource
    plan: Plan
    num_steps: int
    guidance: StepValues | None
    noise_weights: FrameValues | None
    interpolation: InterpolationModels

    @property
    def module(self) -> MotionModule:
        """The first motion module, whose wishes count."""
        return self.ensemble.modules[0].module

    def plan_with(self, prompt: str, negative_prompt: str) -> Plan:
        """The plan of a clip with these prompts. Raises the user's errors."""
        camera = self.ensemble.camera
        return build_plan(
            self.parameters,
            module=joint_limits([each.module.spec for each in self.ensemble.modules], camera and camera.spec),
            prompt=prompt,
            negative_prompt=negative_prompt,
            sources=self.source.infos,
            num_steps=self.num_steps,
        )


def prepare(
    p: Request,
    parameters: Parameters,
    settings: Settings,
    clip: ClipSource,
    modules: ModuleLibrary,
    loras: LoraLibrary,
) -> Prepared:
    """Choose the motion modules, and refuse what cannot be done; `clip` is the source that the parameters
    name. Raises the user's errors."""
    interpolation = _interpolation_models(settings)
    check_method(parameters.interpolation.method, interpolation)
    # Some hosts store UNets in fewer bits than anything can be computed in; the file's own dtype does then.
    dtype = devices.dtype_unet if devices.dtype_unet in DTYPES_TO_RUN_IN else None
    further = [each.model for each in parameters.motion.modules.modules]
    module, *others = modules.load_all(parameters.model, further, dtype)
    camera = modules.load_camera(parameters.motion.camera.model, module)
    limits = joint_limits([each.spec for each in (module, *others)], camera and camera.spec)
    value = format_value(parameters, model=module.name, model_hash=modules.short_hash(module.name))
    found = find_units(p, partial(readable_path, is_api=p.is_api))
    units = with_keyframes(found, clip.keyframes)
    source = RequestSource(read_pictures(p), clip, units).settled()
    plan = build_plan(parameters, module=limits, sources=source.infos, num_steps=p.steps)
    parameters.source.keyframes.check(plan.num_frames)
    check_keyframes(units, plan.num_frames)
    check_output(Path(p.outpath_samples), parameters.output.request_id)
    read = partial(read_mask, find=partial(readable_path, is_api=p.is_api))
    ensemble = read_ensemble(
        plan, [module, *others], p.steps, read_mask=read, find_lora=loras.require, camera=camera,
        read_poses=partial(read_poses, find=partial(readable_path, is_api=p.is_api)),
    )  # fmt: skip
    ensemble.check_picture(
        is_there=parameters.motion.picture is not None or source.pictures is not None  # img2img has one
    )
    guidance = _read_guidance(p, parameters)
    weights = read_values(plan.noise_weight, read)
    return Prepared(
        parameters, settings, ensemble, value, source, plan, p.steps, guidance, weights, interpolation
    )


def _interpolation_models(settings: Settings) -> InterpolationModels:
    folder = settings.interpolation_folder or Path(paths.models_path) / "FrameInterpolation"
    name = f"Settings -> AnimateDiff -> {INTERPOLATION_PATH.label}"
    return InterpolationModels(folder, name, str(devices.device))


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
        control = prepared.source.enter_control_frames(stack, num_frames)
        stack.enter_context(filled_units(p, prepared.source.units, control, num_frames))
        _enter_start(stack, p, prepared)
        yield


def notes_for_user(prepared: Prepared) -> list[str]:
    """What the user should know before sampling."""
    prepared_notes = (prepared.plan.notes, prepared.ensemble.notes, prepared.source.notes)
    return [*chain.from_iterable(prepared_notes), *_schedule_notes()]


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


def _enter_start(stack: ExitStack, p: Request, prepared: Prepared) -> None:
    """Of several pictures, each is a frame, and so is each of their masks."""
    source, num_frames = prepared.source, prepared.plan.num_frames
    if not is_image_request(p):
        if source.starts_from_clip:
            strength = DENOISING_STRENGTH if p.denoising_strength is None else p.denoising_strength
            stack.enter_context(replaced(p, "denoising_strength", strength))
            stack.enter_context(replaced_item(p.extra_generation_params, "Denoising strength", strength))
        return
    if source.starts_from_clip:
        stack.enter_context(replaced(p, "init_images", source.start_frames(num_frames)))
        masks: Sequence[Image.Image] = source.start_masks(num_frames)
    else:
        if source.has_many_pictures:
            stack.enter_context(replaced(p, "init_images", p.init_images[:num_frames]))
        masks = getattr(p, MASKS_ATTRIBUTE, None) or ()
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
    advice = "which this motion module was not trained with: if the colours are wrong, switch it off."
    return [f"Settings ask for {change}, {advice}" for change in changes]
