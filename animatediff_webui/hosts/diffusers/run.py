"""One clip under way: from what was asked for to latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.step_values import read_steps
from animatediff_webui.session import Session

from .guides.hints import HintReader
from .guides.sparsectrl import PictureReader
from .image_settings import ImageSettings
from .loras import ChosenLora, LoadedLora, load_lora, spatial_loras, take_tags
from .prompts import Conditioning, encode_tracks
from .samplers import build_scheduler, find_sampler
from .sampling import Sampled, SamplingRequest, sample
from .start import Start, StartEncoder, motion_picture
from .timings import RunKey, peak_memory, record_run

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan
    from animatediff_webui.core.prompt_travel import PromptTrack
    from animatediff_webui.core.schedules import Schedule
    from animatediff_webui.core.step_values import StepValues
    from animatediff_webui.media.sources import ClipSource
    from animatediff_webui.motion_control import Ensemble
    from motion_module.control import FrameValues
    from motion_module.schedules import BetaSchedule

    from .guides.networks import LoadedGuides
    from .guides.residuals import Guide
    from .pipelines import Pipeline


@dataclass(frozen=True)
class Prompts:
    """A plan's tracks without LoRA tags, and the LoRAs."""

    positive: PromptTrack
    negative: PromptTrack
    loras: tuple[LoadedLora, ...]


@dataclass(frozen=True)
class Run:
    """Everything that decides a clip, but for the models; `size` is width and height in pixels, `source` what
    it starts from, `guides` what it is steered by."""

    session: Session
    image: ImageSettings
    size: tuple[int, int]
    schedule: BetaSchedule | None
    prompts: Prompts
    source: ClipSource
    ensemble: Ensemble | None
    guidance: StepValues | None
    guides: LoadedGuides
    noise_weights: FrameValues | None = None


def read_prompts(plan: Plan, loras: Sequence[ChosenLora], folders: Sequence[Path]) -> Prompts:
    """A plan's prompts with the LoRAs that act on the clip: those given, and those of tags in the prompt."""
    positive, tags = take_tags(plan.prompt_track, folders)
    negative, _ = take_tags(plan.negative_prompt_track, folders)
    return Prompts(positive, negative, tuple(load_lora(chosen) for chosen in (*loras, *tags)))


def sample_run(run: Run, pipeline: Pipeline, device: torch.device) -> Sampled:
    """Sample a clip; what the session's listeners raise ends it."""
    session, image, prompts = run.session, run.image, run.prompts
    sampler, options = find_sampler(image.sampler_name, image.scheduler)
    scheduler = build_scheduler(sampler, options, pipeline.scheduler.config, run.schedule)
    with spatial_loras(pipeline, prompts.loras):
        conditionings = encode_tracks(
            pipeline,
            (prompts.positive, prompts.negative),
            blending=session.plan.parameters.travel.blend,
            clip_skip=image.clip_skip,
            device=device,
        )
        encoder = StartEncoder(pipeline, device, run.size, lambda: session.is_stopping)
        start = encoder.encode(session.plan, image, run.source)
        run = replace(run, ensemble=_showing_picture(run, encoder))
        hints = HintReader(run.size, session.plan.num_frames, lambda: session.is_stopping)
        guides = run.guides.read(hints, PictureReader(run.size, encoder.encode_picture))
        session.begin_sampling()
        return sample(
            pipeline, _request(run, conditionings, start, guides), scheduler,
            device=device, before_window=session.before_window,
        )  # fmt: skip


def _showing_picture(run: Run, encoder: StartEncoder) -> Ensemble | None:
    """The motion modules, with the picture shown to those that animate one."""
    picture = motion_picture(run.session.plan, run.image)
    if run.ensemble is None or not run.ensemble.takes_picture or picture is None:
        return run.ensemble
    return run.ensemble.showing(encoder.encode_picture(picture))


def read_guidance(schedule: Schedule | None, image: ImageSettings) -> StepValues | None:
    """The CFG scale over steps. Raises ParameterError where nothing guides, so that none can be scaled."""
    guidance = read_steps(schedule, image.steps, "cfg_schedule")
    if guidance is not None and image.cfg_scale <= 1:
        raise ParameterError(
            f"cfg_schedule is {str(schedule)!r}, but cfg_scale is {image.cfg_scale:g}, which does not guide: "
            "set it above 1."
        )
    return guidance


def record_timing(run: Run, key: RunKey, device: torch.device) -> None:
    """Remember what sampling a whole clip took, for the next one's estimate."""
    session = run.session
    calls = session.plan.cost(session.num_steps).frame_calls * session.calls_per_step
    record_run(key, calls, session.sampling_seconds, peak_memory(device))


def _request(
    run: Run, conditionings: Sequence[Conditioning], start: Start | None, guides: Sequence[Guide]
) -> SamplingRequest:
    session, image = run.session, run.image
    temporal = [
        (lora.layers, lora.chosen.strength)
        for lora in run.prompts.loras
        if lora.layers is not None and lora.is_temporal
    ]
    return SamplingRequest(
        plan=session.plan,
        positive=conditionings[0],
        negative=conditionings[1],
        width=run.size[0],
        height=run.size[1],
        seed=session.seed,
        num_steps=image.steps,
        cfg_scale=image.cfg_scale,
        loras=tuple(temporal),
        start=start,
        ensemble=run.ensemble,
        guidance=run.guidance,
        guides=guides,
        image_prompts=run.guides.image_prompts,
        noise_weights=run.noise_weights,
    )
