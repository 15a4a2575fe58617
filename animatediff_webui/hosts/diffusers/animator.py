"""A loaded model that makes clips: what the command line and Python callers share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import torch
from PIL import Image

from animatediff_webui.core.errors import ParameterError, UserError, shown
from animatediff_webui.core.parameters import Parameters
from animatediff_webui.core.plan import ModuleLimits, Plan, build_plan, joint_limits
from animatediff_webui.core.sources import SourceInfo
from animatediff_webui.media.interpolation.methods import check_method
from animatediff_webui.media.masks import read_mask
from animatediff_webui.media.poses import read_poses
from animatediff_webui.media.sources import ClipSource, opened_source
from animatediff_webui.motion_control import Ensemble, read_ensemble, read_values
from animatediff_webui.session import Session
from motion_module.camera.network import CameraCtrl
from motion_module.lora.weights import MotionLora, load_motion_lora
from motion_module.module import MotionModule
from motion_module.schedules import BetaSchedule

from .beta_schedules import AUTOMATIC, choose_beta_schedule
from .checkpoint import Checkpoint, describe_checkpoint, load_pipeline
from .clip import Clip
from .guides.networks import Guides, NetworkShelf, open_guides
from .guides.settings import read_guides
from .image_settings import ImageKeywords, ImageSettings
from .infotext import Origin, format_infotext
from .keywords import as_list, as_path
from .library_messages import quiet_libraries
from .listeners import Listeners
from .loras import ChosenLora, find_lora, lora_notes
from .model_options import ModelOptions
from .motion import load_camera, load_further, load_motion
from .pipelines import Pipeline
from .preview import Preview, PreviewListener
from .results import memory_explained
from .run import Run, read_guidance, read_prompts, record_timing, sample_run
from .samplers import find_sampler
from .settings import ClipKeywords, read_animation, read_image_settings, read_prompt, read_settings
from .start import check_start, motion_picture, sampled_steps, start_source
from .timings import Estimate, RunKey, estimate_run
from .vae import decode_frames

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from animatediff_webui.session import WindowListener

    from .guides.settings import Network


class PlanBuilder(Protocol):
    """`build_plan`, or another way to plan a clip."""

    def __call__(
        self,
        parameters: Parameters,
        *,
        module: ModuleLimits | None,
        prompt: str,
        negative_prompt: str,
        sources: Sequence[SourceInfo],
        num_steps: int,
    ) -> Plan: ...


@dataclass(frozen=True)
class Asked:
    """A clip as it was asked for, checked and planned."""

    image: ImageSettings
    plan: Plan
    source: ClipSource
    guides: Guides

    @property
    def start(self) -> ClipSource:
        """What of the source the clip starts from."""
        return start_source(self.image, self.source, is_followed=self.guides.follow_source)


class Animator:
    """A checkpoint with a motion module, loaded once, for any number of clips.

    `loras` act on every clip; tags in prompts are looked up in `lora_folders`, names of networks in
    `network_folder`, in a folder of their kind. `image_defaults` are what the checkpoint likes better than
    the WebUI's defaults. `verbose` lets libraries say what they like. Arguments are checked at once, files
    when they are needed: then UserError and MotionModuleError are raised where they are missing or do not
    fit.

    Threads may share an animator: it makes one clip at a time, and the others wait.
    """

    def __init__(
        self,
        options: ModelOptions,
        *,
        loras: Iterable[ChosenLora] = (),
        lora_folders: Iterable[Path | str] = (),
        network_folder: Path | None = None,
        image_defaults: ImageKeywords | None = None,
        build_plan: PlanBuilder = build_plan,
        verbose: bool = False,
    ) -> None:
        self.options = options
        self.loras = _read_loras(loras)
        self.lora_folders = _read_folders(lora_folders)
        self.image_defaults: Mapping[str, object] = dict(image_defaults or {})
        self._build_plan, self._is_quiet = build_plan, not verbose
        self._loading, self._running = threading.RLock(), threading.RLock()
        self._is_running = False
        self._further: dict[str, MotionModule] = {}
        self._cameras: dict[str, CameraCtrl] = {}
        self._networks = NetworkShelf(options, network_folder)

    @property
    def checkpoint(self) -> Checkpoint:
        """What is known of the checkpoint without its weights."""
        with self._loading:
            return self._checkpoint

    @property
    def module(self) -> MotionModule | None:
        """The motion module, None where none was wanted."""
        with self._loading, quiet_libraries(self._is_quiet):
            return self._module

    @property
    def pipeline(self) -> Pipeline:
        """diffusers' pipeline."""
        with self._loading, quiet_libraries(self._is_quiet):
            return self._pipeline

    def image_settings(self, **settings: Unpack[ImageKeywords]) -> ImageSettings:
        """The image settings; what is not said is as the checkpoint likes it, or as in the WebUI."""
        return read_image_settings(None, self.image_defaults).replaced(dict(settings))

    picture = image_settings  # the older name

    def frame_size(self, image: ImageSettings) -> tuple[int, int]:
        """Width and height, where not chosen the checkpoint's own."""
        own = self.checkpoint.own_size
        return image.width or own, image.height or own

    def plan(
        self, prompt: str, *, animation: Parameters | None = None, **settings: Unpack[ClipKeywords]
    ) -> Plan:
        """What `generate` would do. Loads the motion module, not the checkpoint."""
        return self._read(prompt, None, animation, settings).plan

    def estimate(self, plan: Plan, image: ImageSettings, networks: Sequence[Network] = ()) -> Estimate | None:
        """What sampling the plan will take, by the last runs like it; None where there were none.

        `networks` are those that steer the clip.
        """
        calls = plan.cost(image.steps).frame_calls * find_sampler(image.sampler_name)[0].calls_per_step
        return estimate_run(self._run_key(self.frame_size(image), networks), calls)

    def generate(
        self,
        prompt: str,
        *,
        image: ImageSettings | None = None,
        animation: Parameters | None = None,
        beta_schedule: str = AUTOMATIC,
        on_start: Callable[[Session], None] | None = None,
        on_window: WindowListener | None = None,
        on_preview: PreviewListener | None = None,
        preview_every: int = 5,
        **settings: Unpack[ClipKeywords],
    ) -> Clip:
        """Sample a clip. `settings` are those of the picture and of the animation, by name.

        They may be given ready-made, too, as `image` and `animation`; those by name then replace some. On
        the listeners see `Listeners`. Raises UserError and MotionModuleError, before anything is sampled,
        for what cannot be done; NotFiniteError, a UserError, where a model makes no numbers, and
        NotEnoughMemoryError, another one.
        """
        listeners = Listeners(on_start, on_window, on_preview, preview_every)
        asked = self._read(prompt, image, animation, settings)
        schedule = choose_beta_schedule(beta_schedule, self.module)
        with self._alone(), quiet_libraries(self._is_quiet), memory_explained():
            return self._generate(asked, schedule, listeners)

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return describe_checkpoint(Path(self.options.checkpoint))

    @cached_property
    def _module(self) -> MotionModule | None:
        _ = self.checkpoint  # first, as most people have a checkpoint before they have a motion module
        return load_motion(self.options)

    @cached_property
    def _pipeline(self) -> Pipeline:
        return load_pipeline(self.options, self.checkpoint)

    def _read(
        self,
        prompt: object,
        image: object,
        animation: object,
        settings: Mapping[str, object],
    ) -> Asked:
        text = read_prompt(prompt)
        ready = read_image_settings(image, self.image_defaults)
        chosen, parameters = read_settings(settings, ready, read_animation(animation))
        modules = self._modules(parameters)
        camera = self._camera(parameters)
        specs = [each.spec for each in modules]
        limits = joint_limits(specs, camera and camera.spec) if specs else None
        networks = read_guides(settings)
        self._networks.check(networks)
        with opened_source(parameters) as source:  # files of this machine, which stay
            guides = open_guides(networks, parameters, source)
            plan = self._build_plan(
                parameters,
                module=limits,
                prompt=text,
                negative_prompt=chosen.negative_prompt,
                sources=(*source.infos, *guides.infos),
                num_steps=chosen.steps,
            )
        asked = Asked(chosen, plan, source, guides)
        check_start(chosen, plan, asked.start)
        guides.check(plan)
        check_method(parameters.interpolation.method, self.options.interpolation)
        return asked

    def _modules(self, parameters: Parameters) -> list[MotionModule]:
        """The motion module and the further ones that are asked for; none where none was wanted."""
        further = [module.model for module in parameters.motion.modules.modules]
        if self.module is None:
            if further:
                raise ParameterError(
                    f"modules names {further[0]}, but motion_module is none: name a first one."
                )
            return []
        with self._loading, quiet_libraries(self._is_quiet):
            for name in further:
                if name not in self._further:
                    self._further[name] = load_further(name, self.options)
            return [self.module, *(self._further[name] for name in further)]

    def _camera(self, parameters: Parameters) -> CameraCtrl | None:
        """What tells the motion module of a camera, if that is asked for; the last one is kept."""
        name = parameters.motion.camera.model
        if name is None:
            return None
        if self.module is None:
            raise ParameterError(f"camera_model is {name}, but motion_module is none: name one beside it.")
        with self._loading:
            if name not in self._cameras:
                self._cameras = {}
                self._cameras = {name: load_camera(name, self.options)}
            return self._cameras[name]

    def _ensemble(self, plan: Plan, image: ImageSettings) -> Ensemble | None:
        modules = self._modules(plan.parameters)
        if not modules:
            return None

        def find(name: str) -> MotionLora:
            return load_motion_lora(find_lora(name, self.lora_folders))

        ensemble = read_ensemble(
            plan, modules, image.steps, read_mask=read_mask, find_lora=find,
            camera=self._camera(plan.parameters), read_poses=read_poses,
        )  # fmt: skip
        ensemble.check_picture(is_there=motion_picture(plan, image) is not None)
        return ensemble

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        """Inside, no other thread uses the models. UserError for a clip that is asked for inside a clip."""
        with self._running:
            if self._is_running:
                raise UserError("This animator is in the middle of a clip: wait, or use another animator.")
            self._is_running = True
            try:
                yield
            finally:
                self._is_running = False

    def _generate(self, asked: Asked, schedule: BetaSchedule | None, listeners: Listeners) -> Clip:
        preview, plan, image = self._preview(listeners), asked.plan, asked.image
        session = self._session(asked, listeners.on_window(preview))
        prompts = read_prompts(plan, self.loras, self.lora_folders)
        ensemble = self._ensemble(plan, image)
        guidance = read_guidance(plan.parameters.cfg_schedule, image)
        guides = self._networks.load(asked.guides, self.pipeline, plan)
        run = Run(
            session, image, self.frame_size(image), schedule, prompts, asked.start, ensemble, guidance,
            guides, read_values(plan.noise_weight, read_mask),
        )  # fmt: skip
        if listeners.start is not None:
            listeners.start(session)
        device = self.options.torch_device
        sampled = sample_run(run, self.pipeline, device)
        if sampled.stopped_at_step is None:
            record_timing(run, self._run_key(run.size, asked.guides.networks), device)
        notes = [*plan.notes, *(ensemble.notes if ensemble else ()), *lora_notes(prompts.loras, self.module)]
        problems = [preview.problem] if preview is not None and preview.problem else []
        infotext = self._infotext(run, asked.guides.networks, sampled.stopped_at_step)
        return Clip(
            sampled.latents, session, infotext, *run.size, sampled.stopped_at_step, self.pipeline, device,
            self._running, notes=(*notes, *problems),
        )  # fmt: skip

    def _session(self, asked: Asked, on_window: WindowListener) -> Session:
        image, source = asked.image, asked.source
        sampler, _ = find_sampler(image.sampler_name, image.scheduler)
        return Session(
            asked.plan, sampled_steps(image, asked.start), image.drawn_seed, sampler.calls_per_step,
            sampler.extra_calls, on_window=on_window, sound=source.sound,
            interpolation=self.options.interpolation,
        )  # fmt: skip

    def _preview(self, listeners: Listeners) -> Preview | None:
        if listeners.preview is None:
            return None
        return Preview(self._decode, listeners.preview, listeners.preview_every)

    def _decode(self, latent: torch.Tensor) -> Image.Image:
        device = self.options.torch_device
        return next(decode_frames(self.pipeline.vae, latent, device=device, lock=self._running))

    def _run_key(self, size: tuple[int, int], networks: Sequence[Network]) -> RunKey:
        options = self.options
        dtype = str(options.torch_dtype).removeprefix("torch.")
        kinds = tuple(sorted(network.title for network in networks))
        return RunKey(options.name, str(options.torch_device), dtype, *size, kinds)

    def _infotext(self, run: Run, networks: Sequence[Network], stopped_at_step: int | None) -> str:
        module = self.module.name if self.module else None
        origin = Origin(self.options.name, module, run.session.seed, run.size, networks)
        return format_infotext(run.session.plan, run.image, origin, stopped_at_step)


def _read_loras(loras: object) -> tuple[ChosenLora, ...]:
    listed = as_list(loras)
    if listed is None or not all(isinstance(lora, ChosenLora) for lora in listed):
        raise ParameterError(f"loras is {shown(loras)}, but must be a list of ChosenLora.")
    return cast("tuple[ChosenLora, ...]", listed)


def _read_folders(folders: object) -> tuple[Path, ...]:
    listed = as_list(folders)
    paths = () if listed is None else tuple(as_path(folder) for folder in listed)
    if listed is None or None in paths:
        raise ParameterError(f"lora_folders is {shown(folders)}, but must be a list of folders.")
    return tuple(path for path in paths if path is not None)
