"""A plan and a motion module, sampled by an SD1.5 or SDXL pipeline.

The frames of the clip are the pipeline's batch. The pipeline does what it always does (timesteps, guidance,
the sampler's step), on the CPU; the UNet it calls is a `WindowedUNet`, which runs the real one window by
window, where that one is. So the memory of the device does not grow with the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

import torch

from animatediff_webui.core.freeinit import SamplingPass, sample_passes
from animatediff_webui.core.noise import frame_noise, frame_seeds
from animatediff_webui.core.windowed import SamplingStoppedError
from motion_module.group_norms import video_group_norms
from motion_module.injection import injected
from motion_module.lora.strengths import motion_loras

from .denoising import build_denoiser
from .pipelines import is_sdxl
from .windowed_unet import BeforeWindow, WindowedUNet

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan
    from motion_module.lora.weights import MotionLora
    from motion_module.module import MotionModule

    from .pipelines import Pipeline, Scheduler
    from .prompts import Conditioning

Lora: TypeAlias = "tuple[MotionLora, float | Sequence[float]]"
_FRESH_NOISE = 2**40


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


@torch.inference_mode()
def sample(
    pipeline: Pipeline,
    module: MotionModule | None,
    request: SamplingRequest,
    scheduler: Scheduler,
    *,
    device: torch.device,
    before_window: BeforeWindow = lambda step, done, total, denoised: None,
) -> Sampled:
    """Sample a clip; `before_window` may end it by SamplingStoppedError.

    With `module` None the frames are unrelated pictures. Nothing of `pipeline` is changed afterwards. Raises
    MotionModuleError where the module is not for this UNet, NotFiniteError where it makes no numbers.
    """
    denoiser = build_denoiser(scheduler, request.plan.num_frames, request.cfg_scale)
    conditionings = request.positive, request.negative
    unet = WindowedUNet(
        pipeline.unet, module, request.plan, conditionings,
        denoiser=denoiser, before_window=before_window, device=device,
    )  # fmt: skip
    sampler = _Sampler(pipeline, unet, scheduler, request)
    with ExitStack() as stack:
        if module is not None:
            stack.enter_context(motion_loras(module, request.loras))
            stack.enter_context(injected(pipeline.unet, module))
            stack.enter_context(video_group_norms(pipeline.unet, module))
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
        self.pipeline = windowed_pipeline(pipeline, unet, scheduler)
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
        return frame_noise(frame_seeds(self.request.seed, self.request.plan.num_frames), self.shape)

    def _sample_once(self, this: SamplingPass) -> torch.Tensor:
        request, num_frames = self.request, self.request.plan.num_frames
        self.unet.step = 0

        def count_step(
            _pipeline: object, index: int, _timestep: object, _tensors: object
        ) -> dict[str, torch.Tensor]:
            self.unet.step = (index + 1) // self.scheduler.order
            return {}

        return self.pipeline(
            **_placeholders(num_frames, request.positive),
            width=request.width,
            height=request.height,
            num_inference_steps=this.num_steps,
            guidance_scale=request.cfg_scale,
            latents=this.start_noise(self._draw_noise(this.index)),
            generator=self._step_generators(),
            callback_on_step_end=count_step,
            output_type="latent",
        ).images

    def _draw_noise(self, index: int) -> torch.Tensor:
        """The noise `f c h w` of a pass, in FreeNoise's order."""
        seeds = frame_seeds(self.request.seed, self.request.plan.num_frames)
        order = self.request.plan.noise_order(self.request.seed)
        return frame_noise([seeds[frame] + index * _FRESH_NOISE for frame in order], self.shape)

    def _step_generators(self) -> list[torch.Generator]:
        """For samplers that add noise: one generator per frame, past the numbers of its first noise."""
        seeds = frame_seeds(self.request.seed, self.request.plan.num_frames)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for generator in generators:
            torch.randn(self.shape, generator=generator)
        return generators


def windowed_pipeline(pipeline: Pipeline, unet: WindowedUNet, scheduler: Scheduler) -> Pipeline:
    """A pipeline of the same class with nothing that could be on a GPU, so that it computes on the CPU."""
    parts: dict[str, object] = {"vae": None, "text_encoder": None, "tokenizer": None}
    if is_sdxl(pipeline):
        parts |= {"text_encoder_2": None, "tokenizer_2": None, "add_watermarker": False}
    else:
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    # The classes do not say that their parts may be None.
    kind = cast("Callable[..., Pipeline]", type(pipeline))
    windowed = kind(**parts, unet=unet, scheduler=scheduler)
    windowed.vae_scale_factor = pipeline.vae_scale_factor
    windowed.set_progress_bar_config(disable=True)
    return windowed


def _placeholders(num_frames: int, conditioning: Conditioning) -> dict[str, torch.Tensor]:
    """Embeddings, which pipelines insist on; the windowed UNet puts each frame's own in their place."""
    tokens = torch.zeros(num_frames, 1, 1)
    embeddings = {"prompt_embeds": tokens, "negative_prompt_embeds": tokens}
    if conditioning.pooled is not None:
        pooled = torch.zeros(num_frames, conditioning.pooled.shape[-1])
        embeddings |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": pooled}
    return embeddings
