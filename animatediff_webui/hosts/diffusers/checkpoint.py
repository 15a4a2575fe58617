"""Checkpoints: which files make up a pipeline, and where it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from animatediff_webui.core.errors import UserError
from motion_module import MotionModule, load_motion_module

Offload = Literal["none", "model", "sequential"]
CONFIGURATIONS = Path(__file__).resolve().parent / "configurations"
TOKENIZER = CONFIGURATIONS / "tokenizer"
USER_MODULES = Path(__file__).resolve().parents[3] / "model"
WEIGHTS = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SDXL_KEY = "conditioner.embedders.1.model.ln_final.weight"
SD15_KEY = "model.diffusion_model.input_blocks.0.0.weight"


@dataclass(frozen=True)
class ModelOptions:
    """`motion_module`: a file, "none" for unrelated pictures, or None for the first one found. `freeu`: the
    scales s1, s2, b1, b2 (Si et al., arXiv 2309.11497). `title`: what infotexts call the checkpoint, if
    not by its file's name."""

    checkpoint: Path | str
    vae: Path | str | None = None
    motion_module: Path | str | None = None
    device: str = "auto"
    dtype: str = "auto"
    offload: Offload = "none"
    vae_slicing: bool = False
    vae_tiling: bool = False
    freeu: tuple[float, float, float, float] | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """What the checkpoint is called."""
        return self.title or Path(self.checkpoint).stem

    @property
    def torch_device(self) -> torch.device:
        """The device, chosen if "auto". Raises UserError where there is none of that kind."""
        if self.device == "auto":
            return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _has(kind)))
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise UserError(f"--device is {self.device!r}, but must be auto, cuda, mps or cpu.") from None
        if not _has(device.type):
            raise UserError(f"PyTorch sees no {device.type} device here: use --device cpu or auto.")
        return device

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format, chosen if "auto": half precision where a GPU is."""
        if self.dtype == "auto":
            return torch.float16 if self.torch_device.type == "cuda" else torch.float32
        if self.dtype not in DTYPES:
            raise UserError(f"--dtype is {self.dtype!r}, but must be one of auto, {', '.join(DTYPES)}.")
        return DTYPES[self.dtype]


def load_pipeline(options: ModelOptions) -> Any:
    """The pipeline, placed and switched as the options say. (Any: one of diffusers' two pipelines.)

    Raises UserError where a file is missing, is no checkpoint, or is damaged.
    """
    _check_offload(options)
    pipeline = _load_checkpoint(options)
    if options.vae is not None:
        pipeline.register_modules(vae=_load_vae(Path(options.vae), options.torch_dtype))
    if options.freeu is not None:
        pipeline.enable_freeu(*options.freeu)
    if options.vae_slicing:
        pipeline.vae.enable_slicing()
    if options.vae_tiling:
        pipeline.vae.enable_tiling()
    if options.offload == "model":
        pipeline.enable_model_cpu_offload(device=options.torch_device)
    elif options.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=options.torch_device)
    else:
        pipeline.to(options.torch_device)
    return pipeline


def find_motion_module(options: ModelOptions) -> Path | None:
    """The motion module's file, None for "none". Raises UserError where there is none to be found."""
    if options.motion_module == "none":
        return None
    if options.motion_module is not None:
        return _existing_file(Path(options.motion_module), "--model")
    found = sorted(path for path in USER_MODULES.rglob("*") if path.suffix in WEIGHTS)
    if not found:
        raise UserError(
            f"There is no motion module in {USER_MODULES}: put one there, name one with --model FILE, or use "
            "--model none for pictures that do not move."
        )
    return found[0]


def configured_size(options: ModelOptions) -> int:
    """The pixels a checkpoint draws by itself, from its configuration alone."""
    path = check_checkpoint(options)
    if path.is_dir():
        unet, vae = (json.loads((path / part / "config.json").read_text("utf-8")) for part in ("unet", "vae"))
        return unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1)
    return 1024 if SDXL_KEY in _read_keys(path) else 512


def load_motion(options: ModelOptions) -> MotionModule | None:
    """The motion module, on the device and in the checkpoint's number format."""
    path = find_motion_module(options)
    if path is None:
        return None
    return load_motion_module(path, dtype=options.torch_dtype).to(options.torch_device).eval()


def check_checkpoint(options: ModelOptions) -> Path:
    """Where the checkpoint is. Raises UserError where it is not there."""
    path = Path(options.checkpoint)
    if not path.exists():
        raise UserError(f"There is no checkpoint at {path}: give a .safetensors file or a diffusers folder.")
    return path


def _load_checkpoint(options: ModelOptions) -> Any:
    path = check_checkpoint(options)
    try:
        return _load_folder(path, options) if path.is_dir() else _load_file(path, options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # what diffusers raises for unfit files
        if isinstance(error, UserError):
            raise
        raise UserError(f"The checkpoint {path} cannot be loaded: {_one_line(error)}") from error


def _load_folder(path: Path, options: ModelOptions) -> Any:
    from transformers import CLIPTokenizer

    index = path / "model_index.json"
    if not index.is_file():
        raise UserError(f"{path} is no diffusers folder: name the one that has a model_index.json.")
    is_sdxl = "text_encoder_2" in json.loads(index.read_text(encoding="utf-8"))
    kind, extras = _pipeline_class(is_sdxl)
    if not (path / "tokenizer").is_dir():
        extras["tokenizer"] = CLIPTokenizer.from_pretrained(TOKENIZER)
    return kind.from_pretrained(path, dtype=options.torch_dtype, local_files_only=True, **extras)


def _load_file(path: Path, options: ModelOptions) -> Any:
    """A single file, by configurations that are here: nothing is downloaded."""
    from transformers import CLIPTokenizer

    keys = _read_keys(path)
    kind, extras = _pipeline_class(SDXL_KEY in keys)
    tokenizers: dict[str, Any] = {"tokenizer": CLIPTokenizer.from_pretrained(TOKENIZER)}
    if SDXL_KEY in keys:
        tokenizers["tokenizer_2"] = CLIPTokenizer.from_pretrained(TOKENIZER, pad_token="!")
    configuration = CONFIGURATIONS / ("sdxl" if SDXL_KEY in keys else "sd15")
    return kind.from_single_file(
        path,
        config=str(configuration),
        dtype=options.torch_dtype,
        local_files_only=True,
        **tokenizers,
        **extras,
    )


def _read_keys(path: Path) -> set[str]:
    """The names of a single file's tensors. Raises UserError where it is no checkpoint of ours."""
    from safetensors import SafetensorError, safe_open

    if path.suffix.lower() != ".safetensors":
        raise UserError(f"{path.name} is no .safetensors file: convert it, or name a diffusers folder.")
    try:
        with safe_open(path, framework="pt") as file:
            keys = set(file.keys())
    except SafetensorError as error:
        raise UserError(f"{path.name} is damaged ({error}): get the complete file.") from error
    if SD15_KEY not in keys:
        raise UserError(f"{path.name} is no SD1.5 or SDXL checkpoint: it lacks {SD15_KEY}.")
    return keys


def _pipeline_class(is_sdxl: bool) -> tuple[Any, dict[str, Any]]:
    if is_sdxl:
        from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl as sdxl

        return sdxl.StableDiffusionXLPipeline, {"add_watermarker": False}
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion as sd

    return sd.StableDiffusionPipeline, {"safety_checker": None, "requires_safety_checker": False}


def _load_vae(path: Path, dtype: torch.dtype) -> Any:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    try:
        if path.is_dir():
            return AutoencoderKL.from_pretrained(path, dtype=dtype, local_files_only=True)
        configuration = str(CONFIGURATIONS / "sd15")
        file = _existing_file(path, "--vae")
        return AutoencoderKL.from_single_file(
            str(file), config=configuration, subfolder="vae", dtype=dtype, local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"The VAE {path} cannot be loaded: {_one_line(error)}") from error


def _existing_file(path: Path, option: str) -> Path:
    if not path.is_file():
        raise UserError(f"{option} names {path}, but there is no such file: check the path.")
    return path


def _check_offload(options: ModelOptions) -> None:
    allowed = get_args(Offload)
    if options.offload not in allowed:
        raise UserError(f"--offload is {options.offload!r}, but must be one of {', '.join(allowed)}.")
    if options.offload != "none" and options.torch_device.type == "cpu":
        raise UserError("--offload moves models off a GPU, but this run is on the CPU: leave it out.")


def _has(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or (kind == "mps" and torch.backends.mps.is_available())


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."
