"""What is used of diffusers' and transformers' objects, whose classes publish few types of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import nn


class Config(Protocol):
    """A configuration that was read from a file: names with values."""

    def get(self, key: str, default: object = None, /) -> object: ...


class UNetConfig(Config, Protocol):
    """A UNet's; `sample_size` is the side of the latents that it was trained on."""

    in_channels: int
    sample_size: int


class Tokens(Protocol):
    """A batch of tokenized texts."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor


class Tokenizer(Protocol):
    """CLIP's tokenizer."""

    model_max_length: int

    def tokenize(self, text: str) -> list[str]: ...
    def __call__(
        self, text: str, *, padding: str, max_length: int, truncation: bool, return_tensors: str
    ) -> Tokens: ...


class TextEncoderConfig(Protocol):
    """A text encoder's; `max_position_embeddings` is how many tokens it takes at once."""

    max_position_embeddings: int


class LatentDistribution(Protocol):
    """What an encoder makes of a picture."""

    def mode(self) -> torch.Tensor: ...


class Vae(Protocol):
    """AutoencoderKL."""

    dtype: torch.dtype
    config: Config

    def to(self, *, dtype: torch.dtype) -> object: ...
    def encode(self, x: torch.Tensor, *, return_dict: Literal[False]) -> tuple[LatentDistribution, ...]: ...
    def decode(self, z: torch.Tensor, *, return_dict: Literal[False]) -> tuple[torch.Tensor, ...]: ...
    def enable_slicing(self) -> None: ...
    def enable_tiling(self) -> None: ...


class Scheduler(Protocol):
    """A sampler; `order` is how often it calls the UNet in a step."""

    config: Config
    order: int
    alphas_cumprod: torch.Tensor
    timesteps: torch.Tensor

    def add_noise(
        self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor: ...


class SchedulerClass(Protocol):
    """Where schedulers come from."""

    def from_config(self, config: Config, **options: object) -> Scheduler: ...


class Images(Protocol):
    """What a pipeline returns: latents, where these were asked for."""

    images: torch.Tensor


class Pipeline(Protocol):
    """StableDiffusionPipeline or StableDiffusionXLPipeline. The text encoders are looked up by name."""

    unet: nn.Module
    vae: Vae
    scheduler: Scheduler
    vae_scale_factor: int
    num_timesteps: int
    prepare_latents: Callable[..., torch.Tensor]

    def to(self, device: torch.device) -> object: ...
    def enable_freeu(self, s1: float, s2: float, b1: float, b2: float) -> None: ...
    def enable_model_cpu_offload(self, *, device: torch.device) -> None: ...
    def enable_sequential_cpu_offload(self, *, device: torch.device) -> None: ...
    def load_lora_weights(self, source: str | Mapping[str, torch.Tensor], *, adapter_name: str) -> None: ...
    def set_adapters(self, names: Sequence[str], strengths: Sequence[float]) -> None: ...
    def get_list_adapters(self) -> Mapping[str, Sequence[str]]: ...
    def unload_lora_weights(self) -> None: ...
    def set_progress_bar_config(self, *, disable: bool) -> None: ...
    def __call__(self, **arguments: object) -> Images: ...


class PipelineClass(Protocol):
    """Where pipelines come from; `parts` are those that are given rather than loaded."""

    def from_pretrained(
        self, path: Path, *, dtype: torch.dtype, local_files_only: bool, **parts: object
    ) -> Pipeline: ...
    def from_single_file(
        self, path: Path, *, config: str, dtype: torch.dtype, local_files_only: bool, **parts: object
    ) -> Pipeline: ...


class TokenizerClass(Protocol):
    """Where tokenizers come from."""

    def from_pretrained(self, path: Path, **options: object) -> Tokenizer: ...


class VaeClass(Protocol):
    """Where VAEs come from."""

    def from_pretrained(self, path: Path, *, dtype: torch.dtype, local_files_only: bool) -> Vae: ...
    def from_single_file(
        self, path: str, *, config: str, subfolder: str, dtype: torch.dtype, local_files_only: bool
    ) -> Vae: ...


def is_sdxl(pipeline: Pipeline) -> bool:
    """Whether a pipeline is SDXL's, which has a second text encoder."""
    return getattr(pipeline, "text_encoder_2", None) is not None
