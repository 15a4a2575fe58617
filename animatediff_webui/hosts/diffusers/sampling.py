"""A plan and a motion module, sampled by an SD1.5 or SDXL pipeline.

The frames of the clip are the pipeline's batch. The pipeline does what it always does (timesteps, guidance,
the sampler's step), on the CPU; the UNet it calls is a `WindowedUNet`, which runs the real one window by
window, where that one is. So the memory of the device does not grow with the clip.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import torch

from animatediff_webui.core.freeinit import SamplingPass, sample_passes
from animatediff_webui.core.noise import frame_noise, frame_seeds
from animatediff_webui.core.window_batches import WindowBatches
from animatediff_webui.core.windowed import SamplingStoppedError
from animatediff_webui.shared_prompts import prompts_shared
from animatediff_webui.start_noise import start_noise

from .denoising import build_denoiser
from .pipelines import is_sdxl
from .windowed_unet import BeforeWindow, WindowedUNet

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan
    from animatediff_webui.core.step_values import StepValues
    from animatediff_webui.motion_control import Ensemble
    from motion_module.control import FrameValues
    from motion_module.lora.weights import MotionLora

    from .guides.ip_adapter import ImagePrompts
    from .guides.residuals import Guide
    from .pipelines import Pipeline, Scheduler
    from .prompts import Conditioning
    from .start import Start

Tensors: TypeAlias = Mapping[str, torch.Tensor]
StepListener: TypeAlias = Callable[[object, int, object, Tensors], Tensors]
"""What pipelines tell of each step, and take in place of the tensors they named."""
Lora: TypeAlias = "tuple[MotionLora, float | Sequence[float]]"
_FRESH_NOISE = 2**40
_INIT_NOISE = 2**50
"""Seeds of the noise that pictures' latents are blended with, far from those of the noise laid over them."""


@dataclass(frozen=True)
class SamplingRequest:
    """Everything that decides the latents.

    `ensemble` are the motion modules, None where the frames shall be unrelated pictures; `loras` are the
    first one's, the pipeline has its own. `guidance` is the CFG scale over steps, where it changes. `start`
    is what noise is laid over, None where the clip starts from noise alone. `guides` are the networks beside
    the UNet, `image_prompts` what pictures say to it. `noise_weights` are the plan's, with masks read.
    """

    plan: Plan
    positive: Conditioning
    negative: Conditioning
    width: int
    height: int
    seed: int
    num_steps: int
    cfg_scale: float
    loras: tuple[Lora, ...] = ()
    start: Start | None = None
    ensemble: Ensemble | None = None
    guidance: StepValues | None = None
    guides: Sequence[Guide] = ()
    image_prompts: ImagePrompts | None = None
    noise_weights: FrameValues | None = None

    @property
    def window_batch(self) -> int:
        """Windows that go through the UNet together, 0: by free memory; one with a network that has pictures
        for some windows alone."""
        return 1 if any(guide.is_for_one_window for guide in self.guides) else self.plan.window_batch

    def guidance_at(self, share: float) -> float:
        """How many times the CFG scale guides where this share of sampling is done."""
        return 1.0 if self.guidance is None else self.guidance.at(share) / self.cfg_scale


@dataclass(frozen=True)
class Sampled:
    """The clip's latents `f c h w` on the CPU; where stopped, the model's idea of them at that step."""

    latents: torch.Tensor
    stopped_at_step: int | None = None


@torch.inference_mode()
def sample(
    pipeline: Pipeline,
    request: SamplingRequest,
    scheduler: Scheduler,
    *,
    device: torch.device,
    before_window: BeforeWindow = lambda step, done, total, denoised: None,
) -> Sampled:
    """Sample a clip; `before_window` may end it by SamplingStoppedError.

    Nothing of `pipeline` is changed afterwards. Raises MotionModuleError where a motion module is not for
    this UNet, NotFiniteError where it makes no numbers.
    """
    denoiser = build_denoiser(scheduler, request.plan.num_frames, request.cfg_scale)
    conditionings = request.positive, request.negative
    unet = WindowedUNet(
        pipeline.unet, request.ensemble, request.plan, conditionings, guides=request.guides,
        image_prompts=request.image_prompts,
        guidance=request.guidance_at, denoiser=denoiser, before_window=before_window,
        batches=WindowBatches(request.window_batch), device=device,
    )  # fmt: skip
    sampler = _Sampler(pipeline, unet, scheduler, request)
    with ExitStack() as stack:
        stack.enter_context(prompts_shared(pipeline.unet))
        if request.ensemble is not None:
            stack.enter_context(request.ensemble.injected(pipeline.unet, request.loras))
        if request.image_prompts is not None:
            stack.enter_context(request.image_prompts.loaded(pipeline.unet))
        try:
            return Sampled(sampler.sample())
        except SamplingStoppedError:
            return Sampled(sampler.unfinished(), unet.step)


class _Sampler:
    """A clip's passes through a pipeline that holds nothing but the windowed UNet and a scheduler."""

    def __init__(
        self, pipeline: Pipeline, unet: WindowedUNet, scheduler: Scheduler, request: SamplingRequest
    ) -> None:
        self.unet, self.scheduler, self.request = unet, scheduler, request
        self.pipeline = windowed_pipeline(pipeline, unet, scheduler, starts=request.start is not None)
        factor = pipeline.vae_scale_factor
        self.shape = unet.config.in_channels, request.height // factor, request.width // factor

    def sample(self) -> torch.Tensor:
        """One pass over the clip, or FreeInit's."""
        plan = self.request.plan
        return sample_passes(
            plan.steps_per_iteration(self.request.num_steps),
            plan.parameters.freeinit,
            self._sample_once,
            alpha_cumprod=lambda: float(self.scheduler.alphas_cumprod[-1]),
        )

    def unfinished(self) -> torch.Tensor:
        """The clip as far as it is: without noise as last seen, or the noise that it was to begin from."""
        if self.unet.denoised is not None:
            return self.unet.denoised
        if self.request.start is not None:
            return self._init_latents(self.request.start)
        return frame_noise(self._seeds(), self.shape)

    def _sample_once(self, this: SamplingPass) -> torch.Tensor:
        start, noise = self.request.start, self._draw_noise(this.index)
        share = 1.0 if start is None else start.strength
        self.unet.step, self.unet.num_steps = 0, max(1, int(this.num_steps * share))
        if start is None:
            return self._call(
                self._count_step,
                num_inference_steps=this.num_steps,
                width=self.request.width,
                height=self.request.height,
                latents=this.start_noise(noise),
            )
        over = Over(
            this.start_latents(self._init_latents(start)),
            this.start_noise(noise, over_latents=True),
            start.masks,
            self.scheduler,
        )
        self.pipeline.prepare_latents = over.noisy

        def end_step(pipeline: object, index: int, timestep: object, tensors: Tensors) -> Tensors:
            self._count_step(pipeline, index, timestep, tensors)
            return over.kept_outside(index, self.pipeline.num_timesteps, tensors)

        return self._call(
            end_step,
            num_inference_steps=max(this.num_steps, math.ceil(1 / start.strength)),
            strength=start.strength,
            image=over.latents,
        )

    def _call(self, end_step: StepListener, **arguments: object) -> torch.Tensor:
        return self.pipeline(
            **_placeholders(self.request.plan.num_frames, self.request.positive),
            guidance_scale=self.request.cfg_scale,
            generator=self._step_generators(),
            callback_on_step_end=end_step,
            output_type="latent",
            **arguments,
        ).images

    def _count_step(self, _pipeline: object, index: int, _timestep: object, _tensors: Tensors) -> Tensors:
        self.unet.step = (index + 1) // self.scheduler.order
        return {}

    def _init_latents(self, start: Start) -> torch.Tensor:
        noise = frame_noise([seed + _INIT_NOISE for seed in self._seeds()], self.shape)
        return start.for_noise(noise, self.request.plan.parameters.init)

    def _draw_noise(self, index: int) -> torch.Tensor:
        """The noise `f c h w` that frames start a pass from."""
        own = frame_noise([seed + index * _FRESH_NOISE for seed in self._seeds()], self.shape)
        request = self.request
        return start_noise(request.plan, request.seed, request.noise_weights, own)

    def _seeds(self) -> tuple[int, ...]:
        plan = self.request.plan
        return frame_seeds(self.request.seed, plan.num_frames, offset=plan.parameters.noise.offset)

    def _step_generators(self) -> list[torch.Generator]:
        """For samplers that add noise: one generator per frame, past the numbers of its first noise."""
        generators = [torch.Generator().manual_seed(seed) for seed in self._seeds()]
        for generator in generators:
            torch.randn(self.shape, generator=generator)
        return generators


@dataclass(frozen=True)
class Over:
    """`noise` laid over `latents`, both `f c h w`; `masks` are 1 where the clip is drawn anew."""

    latents: torch.Tensor
    noise: torch.Tensor
    masks: torch.Tensor | None
    scheduler: Scheduler

    def noisy(self, _image: object, timestep: torch.Tensor, *_rest: object, **_named: object) -> torch.Tensor:
        """What the pipeline begins with at `timestep`; it offers more than is needed."""
        return self.scheduler.add_noise(self.latents, self.noise, timestep)

    def kept_outside(self, index: int, num_timesteps: int, tensors: Tensors) -> Tensors:
        """A step's latents, outside of the masks those that were there, as noisy as the next step takes
        them: what inpainting is with a model that was not trained for it."""
        if self.masks is None:
            return {}
        original = self.latents
        if index + 1 < num_timesteps:
            following = self.scheduler.timesteps[len(self.scheduler.timesteps) - num_timesteps + index + 1]
            original = self.scheduler.add_noise(original, self.noise, following[None])
        return {"latents": original * (1 - self.masks) + tensors["latents"] * self.masks}


def windowed_pipeline(
    pipeline: Pipeline, unet: WindowedUNet, scheduler: Scheduler, *, starts: bool = False
) -> Pipeline:
    """A pipeline of the same kind with nothing that could be on a GPU, so that it computes on the CPU.

    `starts`: it does not start from noise alone.
    """
    parts: dict[str, object] = {"vae": None, "text_encoder": None, "tokenizer": None}
    if is_sdxl(pipeline):
        parts |= {"text_encoder_2": None, "tokenizer_2": None, "add_watermarker": False}
    else:
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    # The classes do not say that their parts may be None.
    kind = cast("Callable[..., Pipeline]", _starting_class(pipeline) if starts else type(pipeline))
    windowed = kind(**parts, unet=unet, scheduler=scheduler)
    windowed.vae_scale_factor = pipeline.vae_scale_factor
    windowed.set_progress_bar_config(disable=True)
    return windowed


def _starting_class(pipeline: Pipeline) -> object:
    """diffusers' class for clips that start from pictures."""
    if is_sdxl(pipeline):
        from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img as sdxl

        return sdxl.StableDiffusionXLImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as sd

    return sd.StableDiffusionImg2ImgPipeline


def _placeholders(num_frames: int, conditioning: Conditioning) -> dict[str, torch.Tensor]:
    """Embeddings, which pipelines insist on; the windowed UNet puts each frame's own in their place."""
    tokens = torch.zeros(num_frames, 1, 1)
    embeddings = {"prompt_embeds": tokens, "negative_prompt_embeds": tokens}
    if conditioning.pooled is not None:
        pooled = torch.zeros(num_frames, conditioning.pooled.shape[-1])
        embeddings |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": pooled}
    return embeddings
