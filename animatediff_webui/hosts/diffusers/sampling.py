"""The diffusers adapter: a plan and a motion module, sampled by an SD1.5 or SDXL pipeline.

The frames of the clip are the pipeline's batch. The pipeline does what it always does (timesteps, guidance,
the sampler's step), on the CPU; the UNet it calls is a `WindowedUNet`, which runs the real one window by
window, where that one is. So the memory of the device does not grow with the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from PIL import Image
from torch import nn

from animatediff_webui.core.freeinit import low_pass_filter, reinitialized_noise
from animatediff_webui.core.noise import frame_noise, frame_seeds
from animatediff_webui.core.parameters import Blending
from animatediff_webui.core.plan import Plan
from animatediff_webui.core.prompt_travel import PromptTrack, blend_embeddings
from animatediff_webui.core.windows import Window, fuse, gather
from motion_module import (
    BetaSchedule,
    MotionLora,
    MotionModule,
    betas,
    injected,
    motion_loras,
    video_group_norms,
)

# diffusers publishes its pipelines, UNets and schedulers with few types of their own: Any.
Pipeline = Any
Lora = tuple[MotionLora, float | Sequence[float]]
KeepGoing = Callable[[int, torch.Tensor | None], bool]
POSITIVE, NEGATIVE = 1.0, -1.0
_FRESH_NOISE = 2**40


class SamplingStoppedError(Exception):
    """Sampling was asked to stop between two windows."""


@dataclass(frozen=True)
class Conditioning:
    """What the frames are told: embeddings of a track's prompts, `p n c`, and SDXL's pooled ones, `p c`."""

    track: PromptTrack
    tokens: torch.Tensor
    pooled: torch.Tensor | None = None
    how: Blending = "slerp"

    def at(self, frames: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The blended embeddings of these frames, `l n c` and `l c`."""
        part = replace(
            self.track, keyframe_blends=tuple(self.track.keyframe_blends[frame] for frame in frames)
        )
        pooled = None if self.pooled is None else blend_embeddings(self.pooled, part, self.how)
        return blend_embeddings(self.tokens, part, self.how), pooled


@dataclass(frozen=True)
class SamplingRequest:
    """Everything that decides the latents; `loras` are the motion module's, the pipeline has its own."""

    plan: Plan
    positive: Conditioning
    negative: Conditioning
    width: int
    height: int
    seed: int
    num_steps: int = 20
    cfg_scale: float = 7.0
    loras: tuple[Lora, ...] = ()


@dataclass(frozen=True)
class Sampled:
    """The clip's latents `f c h w` on the CPU; where stopped, the model's idea of them at that step."""

    latents: torch.Tensor
    stopped_at_step: int | None = None


class WindowedUNet(nn.Module):
    """Stands in for a pipeline's UNet: a batch of whole clips in, the real UNet called window by window.

    The pipeline hands over marks (POSITIVE, NEGATIVE) in place of embeddings; what a window's rows are told
    is looked up here, so that embeddings of all frames never exist at once, whatever groups a call has.
    """

    def __init__(
        self, unet: nn.Module, module: MotionModule | None, request: SamplingRequest, device: torch.device
    ) -> None:
        super().__init__()
        self.unet, self.module, self.request, self.target = unet, module, request, device
        self.step = 0
        self.keep_going: KeepGoing = lambda step, estimate: True
        self.estimate: torch.Tensor | None = None
        self.estimator: Callable[[torch.Tensor, torch.Tensor, Any], torch.Tensor] | None = None

    @property
    def config(self) -> Any:
        """What pipelines ask of a UNet, like the two below. (Any: diffusers' configuration.)"""
        return self.unet.config

    @property
    def dtype(self) -> torch.dtype:
        return next(self.unet.parameters()).dtype

    @property
    def add_embedding(self) -> Any:
        """SDXL's embedding of size and crop, whose width the pipeline reads. (Any: a module.)"""
        return self.unet.add_embedding

    def forward(
        self, sample: torch.Tensor, timestep: Any, encoder_hidden_states: torch.Tensor, **kwargs: Any
    ) -> tuple[torch.Tensor]:
        """The fused prediction for `sample` `(g f) c h w`. (Any: the pipeline's other arguments, by row.)"""
        plan = self.request.plan
        windows = plan.windows(self.step)
        marks = encoder_hidden_states[:: plan.num_frames].flatten().tolist()
        predictions = self._predictions(windows, marks, sample, timestep, kwargs)
        prediction = fuse(windows, predictions, plan.num_frames, device=sample.device).to(sample.dtype)
        if self.estimator is not None:
            self.estimate = self.estimator(sample, prediction, timestep)
        return (prediction,)

    def _predictions(
        self,
        windows: Sequence[Window],
        marks: Sequence[float],
        sample: torch.Tensor,
        timestep: Any,
        kwargs: Any,
    ) -> Iterator[torch.Tensor]:
        for window in windows:
            if not self.keep_going(self.step, self.estimate):
                raise SamplingStoppedError
            tokens, pooled = self._conditioning(window, marks)
            rows = self._gathered(kwargs, window, len(sample)) | {"return_dict": False}
            if pooled is not None:
                rows["added_cond_kwargs"]["text_embeds"] = pooled
            inputs = gather(sample, window, self.request.plan.num_frames).to(self.target, self.dtype)
            with ExitStack() as stack:
                if self.module is not None:
                    stack.enter_context(self.module.frames(len(window.frames), window.frames))
                prediction = self.unet(inputs, timestep, tokens, **rows)[0]
            yield prediction

    def _conditioning(
        self, window: Window, marks: Sequence[float]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The embeddings of a window's rows, one group of frames after the other."""
        sides = {POSITIVE: self.request.positive, NEGATIVE: self.request.negative}
        found = [sides[POSITIVE if mark > 0 else NEGATIVE].at(window.frames) for mark in marks]
        tokens = torch.cat([tokens for tokens, _ in found]).to(self.target, self.dtype)
        pooled = [pooled for _, pooled in found if pooled is not None]
        return tokens, torch.cat(pooled).to(self.target, self.dtype) if pooled else None

    def _gathered(self, value: Any, window: Window, num_rows: int) -> Any:
        """`value` with the window's rows of every tensor in it that has one row per row of the batch."""
        if isinstance(value, dict):
            return {key: self._gathered(each, window, num_rows) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._gathered(each, window, num_rows) for each in value]
        if not isinstance(value, torch.Tensor):
            return value
        if value.ndim and len(value) == num_rows:
            value = gather(value, window, self.request.plan.num_frames)
        return value.to(self.target, self.dtype if value.is_floating_point() else value.dtype)


class _OnTheCpu:
    """Keeps a pipeline's latents, noise and sampler on the CPU, wherever its models are."""

    @property
    def _execution_device(self) -> torch.device:
        return torch.device("cpu")


@torch.inference_mode()
def sample(
    pipeline: Pipeline,
    module: MotionModule | None,
    request: SamplingRequest,
    scheduler: Any,
    *,
    device: torch.device,
    keep_going: KeepGoing = lambda step, estimate: True,
) -> Sampled:
    """Sample a clip; before each window, `keep_going` hears of the step and the model's latest idea of it.

    With `module` None the frames are unrelated pictures. Nothing of `pipeline` is changed afterwards. Raises
    MotionModuleError where the module is not for this UNet.
    """
    unet = WindowedUNet(pipeline.unet, module, request, device)
    unet.keep_going = keep_going
    windowed = _windowed_pipeline(pipeline, unet, scheduler)
    with ExitStack() as stack:
        if module is not None:
            stack.enter_context(motion_loras(module, request.loras))
            stack.enter_context(injected(pipeline.unet, module))
            stack.enter_context(video_group_norms(pipeline.unet, module))
        try:
            return Sampled(_sample_passes(windowed, request))
        except SamplingStoppedError:
            noise = frame_noise(
                frame_seeds(request.seed, request.plan.num_frames), _latent_shape(windowed, request)
            )
            return Sampled(noise if unet.estimate is None else unet.estimate, unet.step)


def replaced_betas(scheduler_class: Any, config: Any, schedule: BetaSchedule | None, **options: Any) -> Any:
    """A scheduler of the checkpoint's configuration, but with a motion module's betas (None: its own).

    (Any: diffusers' schedulers, their configuration and options.)
    """
    if schedule is not None:
        options["trained_betas"] = betas(schedule, config.get("num_train_timesteps", 1000)).tolist()
    return scheduler_class.from_config(config, **options)


@torch.inference_mode()
def decoded_frames(
    pipeline: Pipeline, latents: torch.Tensor, *, device: torch.device
) -> Iterator[Image.Image]:
    """The frames of `latents` `f c h w`, decoded one at a time as they are asked for."""
    vae = pipeline.vae
    config = vae.config
    upcast = vae.dtype == torch.float16 and config.force_upcast
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if upcast:
        vae.to(dtype=torch.float32)
    try:
        for latent in latents.split(1):
            scaled = latent.to(device, torch.float32) / config.scaling_factor
            if mean and std:
                scaled = (
                    scaled * scaled.new_tensor(std)[:, None, None] + scaled.new_tensor(mean)[:, None, None]
                )
            pixels = vae.decode(scaled.to(vae.dtype), return_dict=False)[0]
            image = (pixels[0].float() / 2 + 0.5).clamp(0, 1).mul(255).round().byte()
            yield Image.fromarray(rearrange(image, "c h w -> h w c").cpu().numpy(), "RGB")
    finally:
        if upcast:
            vae.to(dtype=torch.float16)


def _windowed_pipeline(pipeline: Pipeline, unet: WindowedUNet, scheduler: Any) -> Pipeline:
    """The same pipeline with another UNet and scheduler, and its own latents on the CPU."""
    parts = {**pipeline.components, "unet": unet, "scheduler": scheduler}
    options = {"requires_safety_checker": False} if "safety_checker" in parts else {"add_watermarker": False}
    kind = type(f"Windowed{type(pipeline).__name__}", (_OnTheCpu, type(pipeline)), {"__module__": __name__})
    windowed = kind(**parts, **options)
    windowed.set_progress_bar_config(disable=True)
    return windowed


def _sample_passes(windowed: Pipeline, request: SamplingRequest) -> torch.Tensor:
    """One pass over the clip, or FreeInit's: each begins with the low frequencies of the one before."""
    plan = request.plan
    shape = _latent_shape(windowed, request)
    order = list(plan.noise_order(request.seed))
    seeds = frame_seeds(request.seed, plan.num_frames)
    first = start = frame_noise([seeds[frame] for frame in order], shape)
    latents = start
    freeinit = plan.parameters.freeinit
    for index, num_steps in enumerate(plan.steps_per_iteration(request.num_steps)):
        if index:
            fresh = frame_noise([seeds[frame] + index * _FRESH_NOISE for frame in order], shape)
            size = (plan.num_frames, *shape[1:])
            low = low_pass_filter(size, freeinit.filter, freeinit.spatial_stop, freeinit.temporal_stop)
            remaining = float(windowed.scheduler.alphas_cumprod[-1])
            start = reinitialized_noise(latents, first, fresh, low, remaining)
        latents = _sample_once(windowed, request, start, num_steps)
    return latents


def _sample_once(
    windowed: Pipeline, request: SamplingRequest, noise: torch.Tensor, num_steps: int
) -> torch.Tensor:
    unet: WindowedUNet = windowed.unet
    unet.step = 0
    unet.estimator = _Estimator(windowed.scheduler, request)

    def count_step(_pipeline: Pipeline, index: int, _timestep: Any, _tensors: Any) -> dict[str, Any]:
        unet.step = (index + 1) // windowed.scheduler.order
        return {}

    marks = torch.full((request.plan.num_frames, 1, 1), POSITIVE)
    pooled = {} if request.positive.pooled is None else {"pooled_prompt_embeds": marks[:, 0]}
    if pooled:
        pooled["negative_pooled_prompt_embeds"] = NEGATIVE * marks[:, 0]
    return windowed(
        prompt_embeds=marks,
        negative_prompt_embeds=NEGATIVE * marks,
        **pooled,
        width=request.width,
        height=request.height,
        num_inference_steps=num_steps,
        guidance_scale=request.cfg_scale,
        latents=noise,
        generator=_step_generators(request, noise.shape[1:]),
        callback_on_step_end=count_step,
        output_type="latent",
    ).images


def _step_generators(request: SamplingRequest, shape: Sequence[int]) -> list[torch.Generator]:
    """For samplers that add noise: one generator per frame, past the numbers that its first noise took."""
    seeds = frame_seeds(request.seed, request.plan.num_frames)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for generator in generators:
        torch.randn(tuple(shape), generator=generator)
    return generators


def _latent_shape(pipeline: Pipeline, request: SamplingRequest) -> tuple[int, int, int]:
    factor = pipeline.vae_scale_factor
    return pipeline.unet.config.in_channels, request.height // factor, request.width // factor


class _Estimator:
    """The clean clip that a prediction implies, with guidance (Ho & Salimans, arXiv 2207.12598).

    Every sampler scales what the UNet sees to sqrt(a) x + sqrt(1 - a) noise, so one formula serves them all.
    """

    def __init__(self, scheduler: Any, request: SamplingRequest) -> None:
        self.kind: str = scheduler.config.prediction_type
        self.alphas: list[float] = scheduler.alphas_cumprod.tolist()
        self.num_frames, self.cfg_scale = request.plan.num_frames, request.cfg_scale

    def __call__(self, sample: torch.Tensor, prediction: torch.Tensor, timestep: Any) -> torch.Tensor:
        alpha = self.alphas[min(round(float(timestep)), len(self.alphas) - 1)]
        signal, spread = alpha**0.5, (1 - alpha) ** 0.5
        if len(prediction) > self.num_frames:
            negative, positive = prediction.split(self.num_frames)
            prediction = negative + self.cfg_scale * (positive - negative)
        if self.kind == "sample":
            return prediction
        if self.kind == "v_prediction":
            return signal * sample[: self.num_frames] - spread * prediction
        return (sample[: self.num_frames] - spread * prediction) / signal
