"""Which motion modules animate a clip, and how strongly each acts: what the plan says, with files read."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn
from torch.nn.functional import interpolate

from animatediff_webui.core.camera import parse_poses
from animatediff_webui.core.errors import ParameterError, UserError
from animatediff_webui.core.step_values import StepValues, read_steps
from motion_module.camera.cameras import Cameras
from motion_module.camera.injection import camera_merged, check_fits
from motion_module.camera.network import CameraCtrl
from motion_module.control import UNCHANGED, FrameValues, MotionControl, Picture, Reference, View
from motion_module.group_norms import video_group_norms
from motion_module.injection import injected
from motion_module.lora.strengths import Strength, motion_loras
from motion_module.lora.weights import MotionLora
from motion_module.module import MotionModule
from motion_module.placeable import Placeable
from motion_module.spec import MotionModuleSpec, Site

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from animatediff_webui.core import multival
    from animatediff_webui.core.blocks import BlockWeights
    from animatediff_webui.core.plan import MotionPlan, Plan
    from animatediff_webui.core.windows import Window

ReadMask: TypeAlias = "Callable[[str | Image.Image, int], npt.NDArray[np.float32]]"
"""Grey levels `f h w` of a mask's source for so many frames; may refuse it by a UserError."""
Loras: TypeAlias = "Sequence[tuple[MotionLora, Strength]]"
TAKE_PICTURES = "PIA and AnimateLCM-I2V"
_SIDES = {"down_blocks": "down", "mid_block": "mid", "up_blocks": "up"}


@dataclass(frozen=True)
class ActiveModule:
    """A motion module that animates a clip.

    `control` is how strongly it acts on frames, `steps` in steps, `strengths` at sites of the UNet. It acts
    from the share `start` of sampling on, up to `end`. `loras` are its own.
    """

    module: MotionModule
    control: MotionControl = UNCHANGED
    steps: StepValues | None = None
    strengths: Mapping[Site, float] | None = None
    start: float = 0.0
    end: float = 1.0
    loras: Loras = ()

    def control_at(self, share: float) -> MotionControl:
        """How strongly it acts where this share of sampling is done."""
        if not self.start <= share < self.end:
            return self.control.times(0)
        return self.control if self.steps is None else self.control.times(self.steps.at(share))


@dataclass(frozen=True)
class Ensemble:
    """The motion modules that animate a clip, one behind the other; the first one's wishes count for all, and
    it alone is told of a camera."""

    modules: tuple[ActiveModule, ...]
    plan: MotionPlan
    camera: CameraCtrl | None = None

    @property
    def parts(self) -> tuple[Placeable, ...]:
        """What runs beside the UNet's own layers."""
        modules = tuple(active.module for active in self.modules)
        return modules if self.camera is None else (*modules, self.camera)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: whose wishes do not count, and what is not used."""
        first = self.modules[0].module
        wishes = tuple(
            f"{each.module.name} was made for another beta schedule or other norms than {first.name}, whose "
            "count for all."
            for each in self.modules[1:]
            if _wishes(each.module.spec) != _wishes(first.spec)
        )
        if self.plan.has_picture and not self.takes_picture:
            unused = f"The motion picture is not used, because {first.name} takes none: {TAKE_PICTURES} do."
            wishes = (*wishes, unused)
        if self.camera is not None and first.spec.family != self.camera.spec.made_for:
            made_for = f"{self.camera.name} was made for {self.camera.spec.made_for}, not for "
            wishes = (
                *wishes,
                f"{made_for}{first.name} ({first.spec.family}): the camera may move otherwise.",
            )
        return wishes

    @property
    def takes_picture(self) -> bool:
        """Whether one of the modules animates a picture."""
        return any(active.module.spec.takes_picture for active in self.modules)

    def check_picture(self, *, is_there: bool) -> None:
        """ParameterError where a module animates a picture, and there is none."""
        for module in (active.module for active in self.modules):
            if module.spec.takes_picture and not is_there:
                raise ParameterError(
                    f"{module.name} ({module.spec.family}) animates a picture, but there is none: give a "
                    "motion_picture, or start from one."
                )

    def showing(self, latents: torch.Tensor) -> Ensemble:
        """These modules, with the picture of these latents, `1 c h w`, shown to those that animate one."""
        affinity = FrameValues(torch.tensor(self.plan.affinity)[:, None, None])
        picture = Picture(latents, affinity)
        modules: list[ActiveModule] = []
        for active in self.modules:
            takes_picture = active.module.spec.takes_picture
            control = replace(active.control, picture=picture) if takes_picture else active.control
            modules.append(replace(active, control=control))
        return replace(self, modules=tuple(modules))

    @contextmanager
    def injected(self, unet: nn.Module, loras: Loras) -> Generator[None, None, None]:
        """Inside, the UNet animates, within `frames`; `loras` are the first module's, beside its own.

        Raises MotionModuleError where one does not fit.
        """
        with ExitStack() as stack:
            for number, each in enumerate(self.modules):
                theirs = [*each.loras, *(() if number else loras)]
                stack.enter_context(motion_loras(each.module, theirs))
                stack.enter_context(injected(unet, each.module, each.strengths))
            if self.camera is not None:
                stack.enter_context(camera_merged(self.modules[0].module, self.camera))
            stack.enter_context(video_group_norms(unet, self.modules[0].module))
            yield

    @contextmanager
    def frames(self, window: Window, share: float) -> Generator[None, None, None]:
        """Inside, a call's rows are the window's frames, where this share of sampling is done."""
        num_frames = window.length
        views = tuple(View(view.frames, view.weights) for view in self.plan.views(num_frames))
        is_referring = self.plan.reference > 0 and share < self.plan.reference_end
        reference = Reference(self.plan.reference, window.number == 0) if is_referring else None
        with ExitStack() as stack:
            for each in self.modules:
                control = each.control_at(share)
                if views or reference:
                    control = replace(control, views=views, reference=reference)
                stack.enter_context(each.module.frames(num_frames, window.frames, control))
            yield


def read_ensemble(
    plan: Plan,
    modules: Sequence[MotionModule],
    num_steps: int,
    *,
    read_mask: ReadMask,
    find_lora: Callable[[str], MotionLora],
    camera: CameraCtrl | None,
    read_poses: Callable[[str], str],
) -> Ensemble:
    """The modules, as the plan wants them to act: the first one, and then those of its list, in order.

    `read_mask` reads masks, `read_poses` the text of a pose file, `find_lora` gives a module's own LoRA by
    its name. `camera` is what tells the first module of a camera. Raises ParameterError for what cannot be
    used, and MotionModuleError where the camera model was made for other modules.
    """
    first, *others = modules
    motion = plan.parameters.motion
    _refuse_twice(modules)
    cameras = None if camera is None else _read_cameras(plan, read_poses)
    active = [_read_first(plan, first, num_steps, read_mask, cameras)]
    for module, asked, values in zip(others, motion.modules.modules, plan.motion.further, strict=True):
        active.append(
            ActiveModule(
                module,
                MotionControl(effect=read_values(values, read_mask)),
                strengths=site_strengths(asked.blocks, module, f"The blocks of {asked.model}"),
                start=asked.start,
                end=asked.end,
                loras=[(find_lora(name), strength) for name, strength in asked.loras],
            )
        )
    if camera is not None:
        check_fits(camera, first)
    return Ensemble(tuple(active), plan.motion, camera)


def _read_first(
    plan: Plan, module: MotionModule, num_steps: int, read_mask: ReadMask, cameras: Cameras | None
) -> ActiveModule:
    """The first module, to which the parameters of motion belong."""
    motion = plan.parameters.motion
    scale, effect = (read_values(values, read_mask) for values in (plan.motion.scale, plan.motion.effect))
    return ActiveModule(
        module,
        MotionControl(scale, effect, cameras=cameras),
        read_steps(motion.effect_schedule, num_steps, "effect_schedule"),
        site_strengths(motion.blocks, module, "motion_blocks"),
    )


def _read_cameras(plan: Plan, read_poses: Callable[[str], str]) -> Cameras | None:
    """How the clip is looked at. Raises ParameterError for a pose file that cannot be used."""
    found, source = plan.motion.camera, plan.parameters.motion.camera.poses
    if source is not None:
        try:
            text = read_poses(source)
        except UserError as error:
            raise ParameterError(f"camera_poses cannot be read: {error}") from error
        found = parse_poses(text, "camera_poses")
    if found is None:
        return None
    if len(found.poses) < plan.num_frames:
        raise ParameterError(
            f"camera_poses has {len(found.poses)} cameras, but {plan.num_frames} frames are generated: give "
            "a line for each."
        )
    first = found.first(plan.num_frames)
    return Cameras(torch.tensor(first.poses), torch.tensor(first.lenses))


def site_strengths(weights: BlockWeights, module: MotionModule, name: str) -> Mapping[Site, float] | None:
    """The weight of each site, None where all are 1. ParameterError for a block that the module lacks."""
    if not weights.weights:
        return None
    sites = [site for site, _ in module.spec.sites()]
    names = set(_block_names(sites))
    for block, _ in weights.weights:
        if block not in names:
            levels = ", ".join(sorted(name for name in names if "." not in name))
            raise ParameterError(f"{name} names {block}, but {module.name} has {levels}: name one of those.")
    return {site: weights.of(_SIDES[site.block], site.level, site.layer) for site in sites}


def read_values(values: multival.FrameValues, read_mask: ReadMask) -> FrameValues | None:
    """Values times masks; None where that changes nothing."""
    if values.is_one:
        return None
    numbers = torch.tensor(values.values)[:, None, None]
    product = numbers[:1] if len(set(values.values)) == 1 else numbers
    for mask in values.masks:
        product = _times(product, _read_mask(mask, values, read_mask))
    return FrameValues(product)


def _read_mask(mask: multival.Mask, values: multival.FrameValues, read_mask: ReadMask) -> torch.Tensor:
    """`f h w` from its low to its high."""
    try:
        grey = torch.tensor(read_mask(mask.source, len(values.values)))
    except UserError as error:
        raise ParameterError(f"{values.name} cannot be read: {error}") from error
    return mask.low + (mask.high - mask.low) * grey


def _times(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Values `f h w` multiplied, at the larger of their sizes."""
    size = max(first.shape[1:], second.shape[1:], key=math.prod)
    left, right = (
        each if each.shape[1:] in (size, (1, 1)) else interpolate(each[None], size, mode="bilinear")[0]
        for each in (first, second)
    )
    return left * right


def _block_names(sites: Iterable[Site]) -> Generator[str, None, None]:
    for site in sites:
        side = _SIDES[site.block]
        level = side if side == "mid" else f"{side} {site.level}"
        yield level
        yield f"{level}.{site.layer}"


def _refuse_twice(modules: Sequence[MotionModule]) -> None:
    names = [module.name for module in modules]
    for number, module in enumerate(modules):
        if module.name in names[:number]:
            raise ParameterError(f"{module.name} is asked for twice: name each motion module once.")


def _wishes(spec: MotionModuleSpec) -> tuple[object, ...]:
    return spec.beta_schedule, spec.video_group_norm
