"""A loaded model that makes clips: what the command line and Python callers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.infotext import format_field
from animatediff_webui.core.parameters import NOT_YET, Parameters, parse_parameters, refuse_unsupported
from animatediff_webui.core.plan import Plan, build_plan
from animatediff_webui.media import WriterOptions, WrittenFile
from animatediff_webui.session import Session
from motion_module import BetaSchedule, MotionModule, unmatched_layers

from .checkpoint import ModelOptions, check_checkpoint, configured_size, load_motion, load_pipeline
from .image_settings import Picture
from .loras import ChosenLora, LoadedLora, load_lora, picture_loras, take_tags
from .preview import Preview
from .prompts import encode_tracks
from .samplers import find_sampler
from .sampling import (
    Conditioning,
    SamplingRequest,
    decoded_frames,
    replaced_betas,
    sample,
)
from .timings import Estimate, RunKey, estimate_run, peak_memory, record_run

if TYPE_CHECKING:
    from animatediff_webui.session import WindowListener

DEFAULTS: Mapping[str, Any] = {"enable": True, "format": ["GIF", "MP4"]}
BETA_SCHEDULES: dict[str, BetaSchedule | None] = {
    "checkpoint": None,
    "linear": BetaSchedule.LINEAR,
    "scaled-linear": BetaSchedule.SCALED_LINEAR,
    "sdxl": BetaSchedule.SCALED_LINEAR_SDXL,
}
_NOT_HERE = {**NOT_YET, "last_frame": "starting from pictures"}


@dataclass(frozen=True)
class Clip:
    """A sampled clip: latents, and how to make frames and files of them."""

    latents: torch.Tensor
    session: Session
    infotext: str
    width: int
    height: int
    stopped_at_step: int | None
    pipeline: Any
    device: torch.device
    notes: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        return self.session.seed

    @property
    def plan(self) -> Plan:
        return self.session.plan

    def frames(self) -> Iterator[Image.Image]:
        """All generated frames in order, each decoded when it is asked for."""
        return decoded_frames(self.pipeline, self.latents, device=self.device)

    def save(self, folder: Path | str = "outputs", options: WriterOptions | None = None) -> list[WrittenFile]:
        """Write the formats of the plan below `folder`. Raises MediaError."""
        return self.session.write(self.frames(), Path(folder), self.infotext, options)


class Animator:
    """A checkpoint with a motion module, loaded once, for any number of clips.

    `loras` act on every clip; tags in prompts are looked up in `lora_folders`. `image_defaults` are what the
    checkpoint likes better than the WebUI's defaults. Raises UserError and MotionModuleError where
    files are missing or do not fit.
    """

    def __init__(
        self,
        options: ModelOptions,
        *,
        loras: Sequence[ChosenLora] = (),
        lora_folders: Sequence[Path] = (),
        image_defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.options = options
        self.loras = tuple(loras)
        self.lora_folders = tuple(lora_folders)
        self.image_defaults = dict(image_defaults or {})

    @cached_property
    def module(self) -> MotionModule | None:
        """The motion module, None where none was wanted."""
        check_checkpoint(self.options)
        return load_motion(self.options)

    @cached_property
    def pipeline(self) -> Any:
        """diffusers' pipeline. (Any: SD1.5's or SDXL's.)"""
        return load_pipeline(self.options)

    def picture(self, **settings: Any) -> Picture:
        """The picture's settings; what is not said is as the checkpoint likes it, or as in the WebUI."""
        return Picture(**{**self.image_defaults, **settings})

    def plan(self, prompt: str, *, negative_prompt: str = "", **animation: Any) -> Plan:
        """What would be done; `animation` by API name. Loads the motion module, not the checkpoint."""
        return self._plan(prompt, negative_prompt, _parameters(animation))

    def estimate(self, plan: Plan, picture: Picture) -> Estimate | None:
        """What sampling the plan will take, by the last runs like it; None where there were none."""
        calls = plan.cost(picture.steps).frame_calls * find_sampler(picture.sampler_name)[0].calls_per_step
        return estimate_run(self._run_key(self._size(picture, configured_size(self.options))), calls)

    def generate(
        self,
        prompt: str,
        *,
        beta_schedule: str = "auto",
        on_start: Callable[[Session], None] | None = None,
        on_window: WindowListener | None = None,
        on_preview: Callable[[Session, list[Image.Image]], None] | None = None,
        preview_every: int = 5,
        **settings: Any,
    ) -> Clip:
        """Sample a clip. `settings` are the fields of `Picture`, and the animation's by API name.

        `on_start` is called before sampling, `on_window` before each window with the model's latest idea of
        the clip, and `on_preview` every `preview_every` steps with small, rough pictures of it.
        Raises UserError and MotionModuleError, before anything is sampled, for what cannot be done.
        """
        known = {field.name for field in fields(Picture)}
        picture = self.picture(**{name: value for name, value in settings.items() if name in known})
        parameters = _parameters({name: value for name, value in settings.items() if name not in known})
        plan = self._plan(prompt, picture.negative_prompt, parameters)
        sampler, options = find_sampler(picture.sampler_name, picture.scheduler)
        session = Session(
            plan, picture.steps, picture.drawn_seed, sampler.calls_per_step, sampler.extra_calls
        )
        preview = Preview(self._decode, on_preview, preview_every) if on_preview else None
        session.on_window = _each(on_window, preview)
        if on_start is not None:
            on_start(session)
        scheduler = replaced_betas(
            _scheduler_class(sampler.scheduler), self.pipeline.scheduler.config,
            self._schedule(beta_schedule), **options,
        )  # fmt: skip
        return self._sample(session, picture, scheduler)

    def _plan(self, prompt: str, negative_prompt: str, parameters: Parameters) -> Plan:
        module = None if self.module is None else self.module.spec
        return build_plan(parameters, module=module, prompt=prompt, negative_prompt=negative_prompt)

    def _schedule(self, name: str) -> BetaSchedule | None:
        if name == "auto":
            return None if self.module is None else self.module.spec.beta_schedule
        if name not in BETA_SCHEDULES:
            names = ", ".join(BETA_SCHEDULES)
            raise ParameterError(f"beta_schedule is {name!r}, but must be one of auto, {names}.")
        return BETA_SCHEDULES[name]

    def _sample(self, session: Session, picture: Picture, scheduler: Any) -> Clip:
        device = self.options.torch_device
        own_size = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        width, height = self._size(picture, own_size)
        positive, tags = take_tags(session.plan.prompt_track, self.lora_folders)
        negative, _ = take_tags(session.plan.negative_prompt_track, self.lora_folders)
        loras = [load_lora(chosen) for chosen in (*self.loras, *tags)]
        with picture_loras(self.pipeline, loras):
            how = session.plan.parameters.travel.blend
            conditionings = encode_tracks(
                self.pipeline, (positive, negative), how=how, clip_skip=picture.clip_skip, device=device
            )
            request = _request(session, picture, conditionings, loras, (width, height))
            session.begin_sampling()
            sampled = sample(
                self.pipeline, self.module, request, scheduler, device=device, keep_going=session.keep_going
            )
            if sampled.stopped_at_step is None:
                calls = session.plan.cost(picture.steps).frame_calls * session.calls_per_step
                seconds = session.sampling_seconds
                record_run(self._run_key((width, height)), calls, seconds, peak_memory(device))
        info = self._infotext(session, picture, (width, height), sampled.stopped_at_step)
        return Clip(
            sampled.latents, session, info, width, height, sampled.stopped_at_step, self.pipeline, device,
            notes=(*session.plan.notes, *_lora_notes(loras, self.module)),
        )  # fmt: skip

    def _decode(self, latent: torch.Tensor) -> Image.Image:
        return next(decoded_frames(self.pipeline, latent, device=self.options.torch_device))

    def _size(self, picture: Picture, own: int) -> tuple[int, int]:
        """Width and height, where not chosen the checkpoint's own."""
        return picture.width or own, picture.height or own

    def _run_key(self, size: tuple[int, int]) -> RunKey:
        options = self.options
        dtype = str(options.torch_dtype).removeprefix("torch.")
        return RunKey(options.name, str(options.torch_device), dtype, *size)

    def _infotext(
        self, session: Session, picture: Picture, size: tuple[int, int], stopped_at_step: int | None
    ) -> str:
        """What made the clip, as the WebUI writes it and reads it back."""
        values = {
            "Steps": picture.steps,
            "Sampler": picture.sampler_name,
            "Schedule type": picture.scheduler,
            "CFG scale": f"{picture.cfg_scale:g}",
            "Seed": session.seed,
            "Size": f"{size[0]}x{size[1]}",
            "Model": self.options.name,
            **({"Clip skip": picture.clip_skip} if picture.clip_skip > 1 else {}),
        }
        if stopped_at_step is not None:
            values["AnimateDiff note"] = f"interrupted at step {stopped_at_step}"
        plan = session.plan
        lines = [plan.prompt_track.text]
        if picture.negative_prompt:
            lines.append(f"Negative prompt: {picture.negative_prompt}")
        animation = format_field(plan.parameters, model=self.module.name if self.module else None)
        lines.append(", ".join([*(f"{key}: {value}" for key, value in values.items()), animation]))
        return "\n".join(lines)


def _each(*listeners: WindowListener | None) -> WindowListener:
    """All of these listeners as one."""

    def listen(session: Session, estimate: torch.Tensor | None) -> None:
        for listener in filter(None, listeners):
            listener(session, estimate)

    return listen


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Inside, diffusers and transformers say errors only: their progress and advice is not for our users."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
            library.enable_progress_bar()


def _parameters(animation: Mapping[str, Any]) -> Parameters:
    parameters = parse_parameters({**DEFAULTS, **animation})
    refuse_unsupported(parameters, "standalone", _NOT_HERE)
    return parameters


def _request(
    session: Session,
    picture: Picture,
    conditionings: Sequence[Conditioning],
    loras: Sequence[LoadedLora],
    size: tuple[int, int],
) -> SamplingRequest:
    temporal = [(lora.layers, lora.chosen.strength) for lora in loras if lora.layers and lora.is_temporal]
    return SamplingRequest(
        plan=session.plan,
        positive=conditionings[0],
        negative=conditionings[1],
        width=size[0],
        height=size[1],
        seed=session.seed,
        num_steps=picture.steps,
        cfg_scale=picture.cfg_scale,
        loras=tuple(temporal),
    )


def _lora_notes(loras: Sequence[LoadedLora], module: MotionModule | None) -> Iterator[str]:
    """What a user should know about LoRAs that do less than was asked."""
    for lora in loras:
        name = lora.chosen.path.stem
        if lora.is_spatial and not isinstance(lora.chosen.strength, float):
            strength = f"{lora.chosen.peak:g}"
            yield f"LoRA {name} changes the picture, so it acts on the whole clip, at strength {strength}."
        if lora.layers is None or not lora.is_temporal:
            continue
        if module is None:
            yield f"LoRA {name} changes motion, but there is no motion module: it does nothing."
        elif missing := unmatched_layers(module, lora.layers):
            yield f"LoRA {name} was made for another family: {len(missing)} of its layers have no place here."


def _scheduler_class(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)
