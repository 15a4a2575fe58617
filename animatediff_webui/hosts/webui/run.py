"""The WebUI's adapter: one animation, from `before_process` to `postprocess`.

What changes the host does so inside the wrapped `p.sample` of this very request, on the model then in use.
The host swallows what script callbacks raise, but not what `p.sample` raises: an error found early is kept
and raised there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from modules import devices, sd_samplers, sd_samplers_common, shared
from PIL import Image

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.infotext import KEY, format_value
from animatediff_webui.core.parameters import Parameters, refuse_unsupported
from animatediff_webui.core.plan import Plan, build_plan
from animatediff_webui.media import WrittenFile
from motion_module import MotionModuleError

from .api import AnimateDiffError
from .conditioning import num_parts, travelled
from .controlnet import build_argument
from .loras import LoraLibrary
from .model import animated_model
from .motion_modules import ModuleLibrary
from .noise import FirstDraw, FreeInitPasses, shuffled_noise
from .patches import replaced, replaced_item, wrapped
from .preview import moving_preview
from .prompts import ClipPrompts, read_prompts, read_text
from .settings import Settings
from .start import MASKS_ATTRIBUTE, blended_init_latent, changed_part, init_with_masks

NOTE_KEY = "AnimateDiff note"
USER_ERRORS = (UserError, MotionModuleError)
_RESHAPED = (
    "batch_size",
    "n_iter",
    "prompt",
    "negative_prompt",
    "seed",
    "do_not_save_grid",
    "do_not_save_samples",
)
_HIRES_LISTS = ("all_hr_prompts", "all_hr_negative_prompts")

# `p`, models and conditionings are the host's, whose modules cannot be imported where types are checked: Any.


class AnimationRun:
    """One request for an animation; `p` is the host's object for it."""

    def __init__(self, p: Any, modules: ModuleLibrary, loras: LoraLibrary) -> None:
        self.p, self.modules, self.loras = p, modules, loras
        self.parameters, self.settings = Parameters(), Settings()
        self.job = shared.state.time_start
        self.is_over = False
        self.pictures: list[Any] = []
        """Of the clip that is being made, as the host hands them round: other scripts may change them yet."""
        self.files: dict[int, tuple[WrittenFile, ...]] = {}
        """Of each clip that is complete, by its number."""
        self._error: Exception | None = None
        self._clip: ClipPrompts | None = None
        self._hires: ClipPrompts | None = None
        self._request, self._methods, self._hires_lists = ExitStack(), ExitStack(), ExitStack()
        self._model: ExitStack | None = None
        self._originals: dict[str, Callable[..., Any]] = {}
        self._blended: dict[str, Any] = {}
        self._before: dict[str, Any] = {}

    # Before sampling

    @property
    def is_refused(self) -> bool:
        return self._error is not None

    def prepare(self, parameters: Parameters, settings: Settings) -> None:
        """Choose the motion module and make the request as large as the clip. Raises the user's errors."""
        self.parameters, self.settings = parameters, settings
        refuse_unsupported(self.parameters, "the WebUI")
        self.module = self.modules.load(self.parameters.model, devices.dtype_unet)
        name = self.module.name
        self.plan = self._make_plan("", "")
        self.argument = build_argument(parameters, self.plan)
        self._reshape_request()
        value = format_value(self.parameters, model=name, model_hash=self.modules.short_hash(name))
        self.p.extra_generation_params[KEY] = value
        for note in (*self.plan.notes, *self._schedule_notes()):
            self.p.comment(note)

    def begin_batch(self, number: int) -> None:
        """Give every frame of clip `number` its prompt. Raises the user's errors."""
        p = self.p
        p.extra_generation_params.pop(NOTE_KEY, None)
        frames = slice(number * self.plan.num_frames, (number + 1) * self.plan.num_frames)
        styled = (p.prompts[0], p.negative_prompts[0])
        self._clip = self._read_prompts(("prompt", "negative_prompt"), styled, frames)
        self.plan = self._clip.plan
        for note in self._clip.notes:
            p.comment(note)
        p.prompts[:], p.negative_prompts[:] = self._clip.prompts, self._clip.negatives
        self._hires = self._begin_hires(frames) if getattr(p, "enable_hr", False) else None

    def take_pictures(self) -> tuple[Image.Image, ...]:
        """The frames made since this was asked last."""
        taken, self.pictures = self.pictures, []
        return tuple(each.image for each in taken)

    def wrap_request(self) -> None:
        """Wrap the request's own methods for one batch; their originals are back once it has been sampled.

        So copies that others make of the request afterwards, to mend faces for example, are not ours.
        """
        self._hires_lists.close()
        self._methods.close()
        methods: dict[str, Callable[..., Any]] = {"sample": self._sample}
        if self._error is None:
            methods |= {
                "setup_conds": self._setup_conds,
                "calculate_hr_conds": self._calculate_hr_conds,
                "sample_hr_pass": self._sample_hr_pass,
            }
        self._originals = {name: getattr(self.p, name) for name in methods if hasattr(self.p, name)}
        for name in self._originals:
            self._methods.enter_context(wrapped(self.p, name, methods[name]))

    def refuse(self, error: Exception) -> None:
        """Keep an error for `p.sample`."""
        self._error = error
        self.wrap_request()

    def end(self) -> None:
        """Give the request back as it was."""
        self.is_over = True
        for borrowed in (self._hires_lists, self._methods, self._request):
            borrowed.close()
        for name, value in self._before.items():
            setattr(self.p, name, value)

    def _make_plan(self, prompt: str, negative_prompt: str) -> Plan:
        return build_plan(
            self.parameters,
            module=self.module.spec,
            prompt=prompt,
            negative_prompt=negative_prompt,
            source_frames=self._num_pictures if self._num_pictures > 1 else None,
        )

    @property
    def _num_pictures(self) -> int:
        """Pictures that img2img was given; several are a frame each."""
        return len(self._before.get("init_images") or getattr(self.p, "init_images", None) or ())

    def _reshape_request(self) -> None:
        """A batch becomes one clip. Each picture of the batch asked for, or of a list of prompts, is one."""
        p, num_frames = self.p, self.plan.num_frames
        self._before = {name: getattr(p, name) for name in _RESHAPED if hasattr(p, name)}
        p.n_iter, p.batch_size = p.n_iter * p.batch_size, num_frames
        for name in ("prompt", "negative_prompt"):
            texts = getattr(p, name)
            if isinstance(texts, list):
                p.n_iter = len(texts)
                setattr(p, name, [text for text in texts for _ in range(num_frames)])
        if isinstance(p.seed, list):
            p.seed = [int(seed) + frame for seed in p.seed for frame in range(num_frames)]
        if self._num_pictures > 1:
            p.init_images = p.init_images[:num_frames]
            masks = getattr(p, MASKS_ATTRIBUTE, None)
            if masks:
                self._request.enter_context(wrapped(p, "init", init_with_masks(p, masks)))
        p.do_not_save_grid = True
        p.do_not_save_samples = p.do_not_save_samples or self.settings.frames_beside_video

    def _read_prompts(self, fields: tuple[str, str], styled: tuple[str, str], frames: slice) -> ClipPrompts:
        """The prompts in these fields of the request; `styled` is what the host has made of them by now."""
        p, store = self.p, shared.prompt_styles
        apply = (store.apply_styles_to_prompt, store.apply_negative_styles_to_prompt)
        texts = [
            read_text(
                value[frames.start] if isinstance(value := getattr(p, name), list) else value,
                text,
                lambda prompt, put_on=put_on: put_on(prompt, p.styles),
            )
            for name, text, put_on in zip(fields, styled, apply, strict=True)
        ]
        return read_prompts(self._make_plan, texts[0], texts[1], self.loras)

    def _begin_hires(self, frames: slice) -> ClipPrompts:
        """The same for hires fix.

        The host reads its prompts from lists over all batches, which are the user's text again as soon as it
        has: infotexts are made from them.
        """
        p = self.p
        lists = [list(getattr(p, name)) for name in _HIRES_LISTS]
        styled = (lists[0][frames.start], lists[1][frames.start])
        hires = self._read_prompts(("hr_prompt", "hr_negative_prompt"), styled, frames)
        for name, texts, new in zip(_HIRES_LISTS, lists, (hires.prompts, hires.negatives), strict=True):
            texts[frames] = new
            self._hires_lists.enter_context(replaced(p, name, texts))
        return hires

    def _schedule_notes(self) -> list[str]:
        """The user's own changes of the schedule stay; the motion module may not be trained for them."""
        found = []
        if getattr(shared.opts, "sd_noise_schedule", "Default") != "Default":
            found.append(f'the noise schedule "{shared.opts.sd_noise_schedule}"')
        if getattr(shared.opts, "use_downcasted_alpha_bar", False):
            found.append("downcast alphas")
        return [
            f"Settings ask for {what}, which this motion module was not trained with: if the colours are "
            "wrong, switch it off."
            for what in found
        ]

    # Conditionings

    def _setup_conds(self) -> None:
        """The host's, then prompt travel. The host comes here again when the refiner takes over."""
        self._originals["setup_conds"]()
        self._travel("c", "uc", self._clip)
        if self._model is not None:
            self._enter_model()

    def _calculate_hr_conds(self) -> None:
        self._originals["calculate_hr_conds"]()
        self._travel("hr_c", "hr_uc", self._hires)

    def _travel(self, positive: str, negative: str, clip: ClipPrompts | None) -> None:
        """Blend the request's conditionings over the frames, once."""
        conds = getattr(self.p, positive)
        if clip is None or conds is None or conds is self._blended.get(positive):
            return
        conds, unconds = travelled(
            conds,
            getattr(self.p, negative),
            (clip.plan.prompt_track, clip.plan.negative_prompt_track),
            self.parameters.travel.blend,
            shared.sd_model.cond_stage_model_empty_prompt[0],
        )
        self._blended[positive] = conds
        setattr(self.p, positive, conds)
        setattr(self.p, negative, unconds)

    def _num_parts(self) -> int:
        return num_parts(self.p.get_conds()[0])

    # Sampling

    def _sample(self, *args: Any, **kwargs: Any) -> Any:
        """The wrapped `p.sample`: everything that changes the host happens in here."""
        try:
            with self._methods, ExitStack() as stack:
                if self._error is not None:
                    raise self._error
                stack.callback(self._leave_model)
                self._enter_model()
                self._enter_request(stack)
                samples = self._sample_passes(lambda: self._originals["sample"](*args, **kwargs))
                self._note_interruption()
                return samples
        except BaseException as error:
            self.is_over = True  # the host skips `postprocess`
            if isinstance(error, USER_ERRORS):
                raise AnimateDiffError(str(error)) from error
            raise

    def _sample_hr_pass(self, *args: Any, **kwargs: Any) -> Any:
        """The second pass of hires fix, which may have a checkpoint of its own."""
        self._enter_model()
        return self._originals["sample_hr_pass"](*args, **kwargs)

    def _enter_model(self) -> None:
        """Animate the model that the host uses now, and no other."""
        self._leave_model()
        loras = {**self._clip.loras, **(self._hires.loras if self._hires else {})} if self._clip else {}
        model = ExitStack()
        model.enter_context(
            animated_model(
                shared.sd_model,
                self.module,
                loras,
                self.settings.beta_schedule or self.module.spec.beta_schedule,
                num_frames=self.plan.num_frames,
                windows=lambda: self.plan.windows(self._step()),
                parts=self._num_parts,
                between=self._between_windows,
                keep_on_gpu=self.settings.keep_on_gpu,
            )
        )
        self._model = model

    def _leave_model(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            model.close()

    def _enter_request(self, stack: ExitStack) -> None:
        """What the clip starts from."""
        p = self.p
        if getattr(p, "init_latent", None) is not None:
            # Made before there was a schedule to make it from.
            sampler = sd_samplers.create_sampler(p.sampler_name, shared.sd_model)
            stack.enter_context(replaced(p, "sampler", sampler))
            init_latent = blended_init_latent(p, self.parameters.init)
            stack.enter_context(replaced(p, "init_latent", init_latent))
        if self.settings.moving_preview:
            stack.enter_context(moving_preview(self.plan))
        shuffle = shuffled_noise(self.plan, int(p.seeds[0]))
        stack.enter_context(replaced(p, "rng", FirstDraw(p.rng, shuffle)))
        if any("AND" in prompt for clip in (self._clip, self._hires) if clip for prompt in clip.prompts):
            # In smaller calls, a prompt's rows would be those of a part of the frames.
            stack.enter_context(replaced_item(shared.opts.data, "batch_cond_uncond", True))

    def _sample_passes(self, sample: Callable[[], Any]) -> Any:
        if not self.parameters.freeinit.enable:
            return sample()
        passes = FreeInitPasses(self.p, self.plan, sample, changed_part(self.p))
        return passes.run(lambda: shared.sd_model.alphas_cumprod[-1].item(), self._is_stopped)

    def _step(self) -> int:
        """The sampling step: second-order samplers call the model twice in one, over the same windows."""
        denoiser = self.p.sampler.model_wrap_cfg
        calls_per_step = max(1, round((denoiser.total_steps or 1) / (denoiser.steps or 1)))
        return denoiser.step // calls_per_step

    def _between_windows(self, done: int, total: int) -> None:
        """Answer "Interrupt" and "Skip", and let the progress bar count windows."""
        if done and done < total and self._is_stopped():
            raise sd_samplers_common.InterruptedException
        if total > 1:
            state = shared.state
            state.sampling_step = int(state.sampling_step) + (done / total if done < total else 0)

    def _is_stopped(self) -> bool:
        return shared.state.interrupted or shared.state.skipped

    def _note_interruption(self) -> None:
        if self._is_stopped():
            state = shared.state
            note = f"interrupted at step {int(state.sampling_step) + 1} of {state.sampling_steps}"
            self.p.extra_generation_params[NOTE_KEY] = note
