"""What the adapter uses of a WebUI, as types: of the host's objects, nothing else.

Read from the sources of AUTOMATIC1111's 1.6.1, 1.8.0 and 1.10.1. `typings/modules` says which names in the
host's modules are of these types; tests hold all of them against the signatures of the real hosts. What only
some hosts have is looked for with a default where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeGuard

import torch
from PIL import Image
from torch import nn

Texts: TypeAlias = "str | list[str]"
"""One for all pictures of a request, or one each."""
Cond: TypeAlias = "torch.Tensor | dict[str, torch.Tensor]"
"""An encoded prompt: `t c`, or for SDXL a dict with `crossattn` `t c` and `vector` `c`."""
ModelCall: TypeAlias = "Callable[..., torch.Tensor]"
"""Of the UNet with noisy latents `b c h w`, timesteps `b`, and conditionings whose first axis is `b`."""


class ScheduledCond(Protocol):
    """A cond, and the last step at which it counts."""

    end_at_step: int
    cond: Cond

    def __init__(self, end_at_step: int, cond: Cond) -> None: ...


Schedule: TypeAlias = "Sequence[ScheduledCond]"
"""The conds of one prompt, one after the other."""


class PromptPart(Protocol):
    """One of the prompts that `AND` joins."""

    schedules: Schedule
    weight: float

    def __init__(self, schedules: Schedule, weight: float = 1.0) -> None: ...


class Conds(Protocol):
    """The encoded prompts of a batch: for each picture its parts."""

    shape: tuple[int, ...]
    batch: Sequence[Sequence[PromptPart]]

    def __init__(self, shape: tuple[int, ...], batch: Sequence[Sequence[PromptPart]]) -> None: ...


class NoiseGenerator(Protocol):
    """Draws noise `f c h w`, each picture's from its own seed."""

    def next(self) -> torch.Tensor: ...


class Denoiser(Protocol):
    """Counts the calls of the model: `step` so far, `total_steps` in all, for `steps` sampling steps."""

    step: int
    steps: int | None
    total_steps: int | None


class Sampler(Protocol):
    """A sampler, made for a checkpoint and its noise schedule."""

    model_wrap_cfg: Denoiser
    sample: Callable[..., torch.Tensor]
    sample_img2img: Callable[..., torch.Tensor]


class Script(Protocol):
    """A script of some extension; its arguments are a slice of the request's."""

    args_from: int
    args_to: int

    def title(self) -> str: ...


class ScriptRunner(Protocol):
    """The scripts of a tab."""

    alwayson_scripts: Sequence[Script]

    def run(self, p: Request, *args: object) -> Processed | None: ...


class Request(Protocol):
    """What is to be generated, and, while it is, how far the host is with it."""

    prompt: Texts
    negative_prompt: Texts
    styles: list[str]
    seed: int | list[int]
    steps: int
    denoising_strength: float | None
    width: int
    height: int
    batch_size: int
    n_iter: int
    sampler_name: str
    do_not_save_samples: bool
    do_not_save_grid: bool
    outpath_samples: str
    extra_generation_params: dict[str, object]
    comments: dict[str, object]
    is_api: bool
    scripts: ScriptRunner | None
    script_args: Sequence[object]
    all_seeds: list[int]
    prompts: list[str]
    negative_prompts: list[str]
    seeds: list[int]
    rng: NoiseGenerator
    sampler: Sampler
    c: Conds
    uc: Sequence[Schedule] | None
    overlay_images: list[Image.Image] | None
    color_corrections: list[object] | None

    def comment(self, text: str) -> None: ...
    def get_conds(self) -> tuple[Conds, Sequence[Schedule] | None]: ...
    def close(self) -> None: ...


class TextRequest(Request, Protocol):
    """A request of txt2img, which hires fix may take further."""

    enable_hr: bool
    hr_prompt: Texts
    hr_negative_prompt: Texts
    all_hr_prompts: list[str]
    all_hr_negative_prompts: list[str]
    hr_c: Conds | None
    hr_uc: Sequence[Schedule] | None


class LatentRequest(Request, Protocol):
    """A request whose frames start from latents `f c h w`, to which noise is added."""

    init_latent: torch.Tensor


class ImageRequest(LatentRequest, Protocol):
    """A request of img2img: the pictures it begins with, and what the host has made of them."""

    init_images: Sequence[Image.Image]
    resize_mode: int
    image_mask: Image.Image | None
    mask_for_overlay: Image.Image | None
    inpaint_full_res: bool
    paste_to: tuple[int, int, int, int] | None
    mask: torch.Tensor | None
    nmask: torch.Tensor
    image_conditioning: torch.Tensor

    def init(self, all_prompts: object, all_seeds: Sequence[int], all_subseeds: Sequence[int]) -> None: ...


def is_image_request(p: Request) -> TypeGuard[ImageRequest]:
    """Whether it is img2img's."""
    return hasattr(p, "init_images")


def starts_from_latents(p: Request) -> TypeGuard[LatentRequest]:
    """Whether its frames start from latents, as those of img2img do."""
    return getattr(p, "init_latent", None) is not None


def has_hires_fix(p: Request) -> TypeGuard[TextRequest]:
    """Whether a second pass will enlarge the pictures."""
    return bool(getattr(p, "enable_hr", False))


class Processed(Protocol):
    """The answer to a request; pictures that are texts go to API clients as they are."""

    images: list[Image.Image | str]
    infotexts: list[str]
    index_of_first_image: int
    all_seeds: Sequence[int]
    comments: str

    def js(self) -> str: ...


class PostprocessedImage(Protocol):
    """A finished picture, as it is handed round: scripts may put another one in its place."""

    image: Image.Image


class DiffusionWrapper(Protocol):
    """Holds the UNet."""

    diffusion_model: nn.Module


class SdModel(Protocol):
    """A loaded checkpoint; one row of `x` is one picture."""

    model: DiffusionWrapper
    alphas_cumprod: torch.Tensor
    cond_stage_model_empty_prompt: torch.Tensor

    def apply_model(
        self, x: torch.Tensor, t: torch.Tensor, /, cond: Mapping[str, object]
    ) -> torch.Tensor: ...


class LoadedModels(Protocol):
    """What is in memory; nothing is loaded by asking."""

    sd_model: object


class Checkpoint(Protocol):
    """A checkpoint file in the host's list."""

    filename: str


class State(Protocol):
    """The job under way. `sampling_step` takes fractions: the progress bar only divides it."""

    interrupted: bool
    skipped: bool
    job_count: int
    time_start: float
    sampling_step: float
    sampling_steps: int
    current_latent: torch.Tensor | None

    def assign_current_image(self, image: Image.Image) -> None: ...


class Styles(Protocol):
    """The user's styles."""

    def apply_styles_to_prompt(self, prompt: str, styles: list[str]) -> str: ...
    def apply_negative_styles_to_prompt(self, prompt: str, styles: list[str]) -> str: ...


class SettingRow(Protocol):
    """A setting, as the host's page shows it."""

    def info(self, info: str) -> SettingRow: ...


class Options(Protocol):
    """The user's settings."""

    data: dict[str, object]
    enable_pnginfo: bool
    img2img_background_color: str
    outdir_grids: str
    outdir_txt2img_grids: str
    sd_model_checkpoint: str | None
    sd_vae_encode_method: str
    show_progress_type: str

    def add_option(self, key: str, info: SettingRow) -> None: ...


class CommandLine(Protocol):
    """How the host was started."""

    api_auth: str | None


class GridCells(Protocol):
    """A grid that is being drawn."""

    imgs: Sequence[Image.Image]
    cols: int


class Extension(Protocol):
    """An extension that is switched on."""

    name: str
    path: str


class ScriptData(Protocol):
    """A script file that was loaded."""

    path: str
    module: object
