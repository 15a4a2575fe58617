"""One clip through the host's own methods of the request: `setup_conds`, `sample`, and those of hires fix.

What changes the host does so inside the wrapped `sample` of this very request, on the model then in use: so
LoRAs, checkpoint overrides, hires fix and samplers are already what they will be, and a request that
somebody makes in the middle sees a clean model.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from modules import sd_samplers_common, shared

from animatediff_webui.core.freeinit import SamplingPass, sample_passes
from animatediff_webui.core.notes import NOTE_KEY
from animatediff_webui.core.window_batches import WindowBatches
from animatediff_webui.core.windowed import SamplingStoppedError
from animatediff_webui.core.windows import Window
from animatediff_webui.session import Session

from .backends import find_backend
from .conditioning import Travel, num_parts, travelled
from .controlnet.hints import windowed_hints
from .controlnet.integrated import applied_units, check_prepared
from .host_types import Conds, Request, Schedule, TextRequest, has_hires_fix
from .loras import ActiveLora
from .model import Animation, animated_model, framed_layers
from .patched_unet import guided_by
from .patches import replaced, replaced_item
from .preview import moving_preview
from .prompts import ClipPrompts, PromptReader
from .start import enter_start, picture_latent, sample_pass
from .windows import WindowedCall

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan
    from animatediff_webui.motion_control import Ensemble

    from .request import Prepared

Sample = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class PassPrompts:
    """A clip's prompts, and those of hires fix where it is on."""

    first: ClipPrompts
    hires: ClipPrompts | None = None

    @property
    def loras(self) -> list[ActiveLora]:
        """Of both passes, each once."""
        loras = {**self.first.loras, **(self.hires.loras if self.hires else {})}
        return list(loras.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user."""
        return self.first.notes

    @property
    def joins_prompts(self) -> bool:
        """Whether `AND` may join prompts in one of the passes."""
        return self.first.joins_prompts or (self.hires is not None and self.hires.joins_prompts)


def read_pass_prompts(p: Request, reader: PromptReader, picture: int) -> PassPrompts:
    """The prompts of the clip that begins at this picture of the request. Raises the user's errors."""
    first = reader.read((p.prompt, p.negative_prompt), (p.prompts[0], p.negative_prompts[0]), picture)
    if not has_hires_fix(p):
        return PassPrompts(first)
    styled = (p.all_hr_prompts[picture], p.all_hr_negative_prompts[picture])
    return PassPrompts(first, reader.read((p.hr_prompt, p.hr_negative_prompt), styled, picture))


@contextmanager
def replaced_prompts(p: Request, prompts: PassPrompts, picture: int) -> Generator[None, None, None]:
    """Inside, the host encodes a prompt for each frame of the clip that begins at this picture.

    It takes the first pass's from lists of its own, those of hires fix from lists over the whole request,
    which have to be the user's text again once it has: infotexts are made from them.
    """
    p.prompts[:], p.negative_prompts[:] = prompts.first.prompts, prompts.first.negatives
    with ExitStack() as stack:
        if prompts.hires is not None and has_hires_fix(p):
            _enter_hires_prompts(stack, p, prompts.hires, picture)
        yield


def _enter_hires_prompts(stack: ExitStack, p: TextRequest, hires: ClipPrompts, picture: int) -> None:
    frames = slice(picture, picture + hires.plan.num_frames)
    texts, negatives = list(p.all_hr_prompts), list(p.all_hr_negative_prompts)
    texts[frames], negatives[frames] = hires.prompts, hires.negatives
    stack.enter_context(replaced(p, "all_hr_prompts", texts))
    stack.enter_context(replaced(p, "all_hr_negative_prompts", negatives))


class ClipSampling:
    """Samples one clip; its methods take the places of the request's own, and get these as `original`."""

    def __init__(self, p: Request, prepared: Prepared, prompts: PassPrompts, session: Session) -> None:
        self.p, self.prepared, self.prompts, self.session = p, prepared, prompts, session
        self._ensemble = prepared.ensemble
        self._blended: dict[str, Conds] = {}
        self._model = ExitStack()
        self._is_sampling = False

    @property
    def plan(self) -> Plan:
        return self.session.plan

    @property
    def methods(self) -> Mapping[str, Callable[..., object]]:
        """By the names of the request's."""
        return {
            "setup_conds": self.setup_conds,
            "calculate_hr_conds": self.calculate_hr_conds,
            "sample": self.sample,
            "sample_hr_pass": self.sample_hr_pass,
        }

    def setup_conds(self, original: Callable[[], None]) -> None:
        """The host's, then prompt travel. The host comes here again when the refiner takes over."""
        original()
        self._blend("c", "uc", self.prompts.first)
        if self._is_sampling:
            self._animate()

    def calculate_hr_conds(self, original: Callable[[], None]) -> None:
        """The host's conditionings of hires fix, then prompt travel."""
        original()
        if self.prompts.hires is not None:
            self._blend("hr_c", "hr_uc", self.prompts.hires)

    def sample(self, original: Sample, *args: object, **kwargs: object) -> torch.Tensor:
        """The host's, with the clip's start and the animated model."""
        p, plan = self.p, self.plan

        def sample_once(sampling: SamplingPass) -> torch.Tensor:
            return sample_pass(p, sampling, lambda: original(*args, **kwargs))

        with self._sampling() as stack:
            frames = self.prepared.source.start_frames(plan.num_frames)
            enter_start(stack, p, plan, frames, self.prepared.noise_weights)
            joins = self.prompts.joins_prompts and find_backend(shared.sd_model).alternates_parts
            if joins or self.prepared.guidance is not None:
                # In smaller calls, a prompt's rows would be those of a part of the frames, or without the
                # negative prompt's.
                stack.enter_context(replaced_item(shared.opts.data, "batch_cond_uncond", True))
            samples = sample_passes(
                plan.steps_per_iteration(p.steps),
                plan.parameters.freeinit,
                sample_once,
                alpha_cumprod=lambda: find_backend(shared.sd_model).last_alpha_cumprod,
                is_stopped=self.session.is_stopped,
            )
            self._note_interruption()
            return samples

    def sample_hr_pass(self, original: Sample, *args: object, **kwargs: object) -> torch.Tensor:
        """The second pass of hires fix, which may have a checkpoint of its own."""
        self._animate()
        return original(*args, **kwargs)

    @contextmanager
    def _sampling(self) -> Generator[ExitStack, None, None]:
        """Inside, the model animates, and what is entered into the stack holds."""
        self._is_sampling = True
        self._ensemble = self._showing_picture()
        try:
            with self._model, ExitStack() as stack:
                self._animate()
                if self.prepared.settings.moving_preview:
                    stack.enter_context(moving_preview(self.plan))
                yield stack
        finally:
            self._is_sampling = False

    def _showing_picture(self) -> Ensemble:
        """The motion modules, with the picture shown to those that animate one."""
        ensemble = self.prepared.ensemble
        if not ensemble.takes_picture:
            return ensemble
        latent = picture_latent(self.p, self.prepared.parameters.motion.picture)
        return ensemble if latent is None else ensemble.showing(latent.float())

    def _animate(self) -> None:
        """Animate the model that the host uses now, and no other."""
        self._model.close()
        prepared, plan = self.prepared, self.plan
        backend = find_backend(shared.sd_model)
        if prepared.guidance is not None and not backend.alternates_parts:
            self._model.enter_context(guided_by(self.p, self._guidance))
        check_prepared(self.p, prepared.source.units, is_windowed=plan.is_windowed)
        self._model.enter_context(applied_units(self.p))
        hints = self._model.enter_context(
            windowed_hints(self.p, backend.unet, plan.num_frames, looped=plan.layout.prompts_loop)
        )

        @contextmanager
        def framed(window: Window, num_groups: int) -> Generator[None, None, None]:
            hints.show(window, num_groups)
            with framed_layers(self._ensemble, window, self._share()):
                yield

        batches = WindowBatches(plan.window_batch)
        call = WindowedCall(
            num_frames=plan.num_frames,
            share=min(1, (plan.window_batch or 1) * plan.context_length / plan.num_frames),
            windows=lambda: plan.windows(self._step(), self._share()),
            num_parts=lambda: num_parts(self.p.get_conds()[0]) if backend.alternates_parts else 1,
            before_window=self._before_window,
            framed=framed,
            batches=lambda: WindowBatches() if hints.has_networks else batches,
            guidance=self._guidance if backend.alternates_parts else lambda: 1.0,
        )
        schedule = prepared.settings.beta_schedule or prepared.module.spec.beta_schedule
        animation = Animation(self._ensemble, self.prompts.loras, schedule, prepared.settings.keep_on_gpu)
        self._model.enter_context(animated_model(backend, animation, call))

    def _blend(self, positive: str, negative: str, clip: ClipPrompts) -> None:
        """Blend the request's conditionings over the frames, once."""
        conds: Conds | None = getattr(self.p, positive)
        unconds: Sequence[Schedule] | None = getattr(self.p, negative)
        if conds is None or conds is self._blended.get(positive):
            return
        blending = self.prepared.parameters.travel.blend
        empty_prompt = find_backend(shared.sd_model).empty_prompt
        tracks = (clip.plan.prompt_track, clip.plan.negative_prompt_track)
        travels = [Travel(track, blending, empty_prompt) for track in tracks]
        conds, unconds_ = travelled(conds, unconds, *travels)
        self._blended[positive] = conds
        setattr(self.p, positive, conds)
        setattr(self.p, negative, unconds_)

    def _step(self) -> int:
        """The sampling step: second-order samplers call the model twice in one, over the same windows."""
        denoiser = self.p.sampler.model_wrap_cfg
        calls_per_step = max(1, round((denoiser.total_steps or 1) / (denoiser.steps or 1)))
        return denoiser.step // calls_per_step

    def _share(self) -> float:
        """How much of sampling is done, from 0 to 1."""
        return self._step() / (self.p.sampler.model_wrap_cfg.steps or 1)

    def _guidance(self) -> float:
        """How many times the request's CFG scale guides in this step."""
        scales = self.prepared.guidance
        return 1.0 if scales is None else scales.at(self._share()) / self.p.cfg_scale

    def _before_window(self, done: int, total: int) -> None:
        """Answer "Interrupt" and "Skip", and let the progress bar count windows."""
        try:
            self.session.before_window(self._step(), done, total)
        except SamplingStoppedError as error:
            raise sd_samplers_common.InterruptedException from error
        if total > 1:
            state = shared.state
            state.sampling_step = int(state.sampling_step) + (done / total if done < total else 0)

    def _note_interruption(self) -> None:
        if self.session.is_stopped():
            state = shared.state
            note = f"interrupted at step {int(state.sampling_step) + 1} of {state.sampling_steps}"
            self.p.extra_generation_params[NOTE_KEY] = note
