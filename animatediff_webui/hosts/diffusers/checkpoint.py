"""Checkpoints: what one is, as far as its names tell, and the pipeline that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from animatediff_webui.core.errors import UserError

from .files import existing, one_line, read_json, shown_path
from .model_options import ModelOptions
from .pipelines import Pipeline, PipelineClass, Vae
from .vae import load_vae
from .weights import WeightsFile, read_weights_file

CONFIGURATIONS = Path(__file__).resolve().parent / "configurations"
TOKENIZER = CONFIGURATIONS / "tokenizer"
UNET, VAE = "model.diffusion_model.", "first_stage_model."
SD15_TEXT_ENCODER, SD2_TEXT_ENCODER = "cond_stage_model.transformer.", "cond_stage_model.model."
SDXL_TEXT_ENCODER = "conditioner.embedders.1.model."
LATENT_CHANNELS = 4


@dataclass(frozen=True)
class Checkpoint:
    """What is known of a checkpoint before its weights are read; `own_size` is the pixels that it draws."""

    path: Path
    is_sdxl: bool
    own_size: int

    @property
    def configuration(self) -> Path:
        """diffusers' configuration for files of this kind."""
        return _configuration(self.is_sdxl)


def describe_checkpoint(path: Path) -> Checkpoint:
    """What the checkpoint is. UserError where there is none, or one of another kind."""
    existing(path, "checkpoint")
    return _describe_folder(path) if path.is_dir() else _describe_file(path)


def load_pipeline(options: ModelOptions, checkpoint: Checkpoint) -> Pipeline:
    """The pipeline, placed and switched as the options say.

    Raises UserError where a file is missing, is no checkpoint, or is damaged.
    """
    options.check_device()
    vae = None
    if options.vae is not None:
        vae = load_vae(Path(options.vae), checkpoint.configuration, options.torch_dtype)
    pipeline = _load(options, checkpoint, vae)
    if options.freeu is not None:
        pipeline.enable_freeu(*options.freeu)
    if options.vae_slicing:
        pipeline.vae.enable_slicing()
    if options.vae_tiling:
        pipeline.vae.enable_tiling()
    _place(pipeline, options)
    return pipeline


def _place(pipeline: Pipeline, options: ModelOptions) -> None:
    places = {
        "none": pipeline.to,
        "model": lambda device: pipeline.enable_model_cpu_offload(device=device),
        "sequential": lambda device: pipeline.enable_sequential_cpu_offload(device=device),
    }
    places[options.offload](options.torch_device)


def _describe_folder(path: Path) -> Checkpoint:
    if not (path / "model_index.json").is_file():
        raise UserError(
            f"{shown_path(path)} is no diffusers folder: name the one that has a model_index.json."
        )
    is_sdxl = "text_encoder_2" in read_json(path / "model_index.json")
    _check_channels(path, read_json(path / "unet" / "config.json").get("in_channels", LATENT_CHANNELS))
    return Checkpoint(path, is_sdxl, _configured_size(path))


def _configured_size(folder: Path) -> int:
    """The pixels that a model of this configuration draws by itself."""
    unet, vae = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    side, blocks = unet.get("sample_size"), vae.get("block_out_channels")
    if not isinstance(side, int) or not isinstance(blocks, list) or side < 1 or not blocks:
        raise UserError(
            f"{shown_path(folder)} does not say how large its pictures are (sample_size in unet/config.json, "
            "block_out_channels in vae/config.json): get the complete folder."
        )
    return side * 2 ** (len(cast("Sequence[object]", blocks)) - 1)


def _describe_file(path: Path) -> Checkpoint:
    if path.suffix.lower() != ".safetensors":
        raise UserError(
            f"{shown_path(path)} is no .safetensors file: convert it, or name a diffusers folder."
        )
    file = read_weights_file(path, "checkpoint")
    if not file.has(UNET):
        raise UserError(file.explain("an SD1.5 or SDXL checkpoint"))
    if file.has(SD2_TEXT_ENCODER):
        raise UserError(f"{path.name} is an SD2 checkpoint, but motion modules are for SD1.5 and SDXL.")
    is_sdxl = file.has(SDXL_TEXT_ENCODER)
    _check_complete(file, SDXL_TEXT_ENCODER if is_sdxl else SD15_TEXT_ENCODER)
    _check_channels(path, file.shape(f"{UNET}input_blocks.0.0.weight", (0, LATENT_CHANNELS))[1])
    return Checkpoint(path, is_sdxl, _configured_size(_configuration(is_sdxl)))


def _configuration(is_sdxl: bool) -> Path:
    return CONFIGURATIONS / ("sdxl" if is_sdxl else "sd15")


def _check_complete(file: WeightsFile, text_encoder: str) -> None:
    """UserError for what holds the UNet alone, as some files that are shared do."""
    parts = {"text encoder": text_encoder, "VAE": VAE}
    missing = [name for name, prefix in parts.items() if not file.has(prefix)]
    if missing:
        raise UserError(
            f"{file.name} has a UNet, but no {' and no '.join(missing)}: get the whole checkpoint, which has "
            "all three."
        )


def _check_channels(path: Path, channels: object) -> None:
    if channels != LATENT_CHANNELS:
        raise UserError(
            f"{shown_path(path)} changes pictures rather than drawing new ones, as inpainting models do (its "
            f"UNet takes {channels} channels, not {LATENT_CHANNELS}): choose another checkpoint."
        )


def _load(options: ModelOptions, checkpoint: Checkpoint, vae: Vae | None) -> Pipeline:
    kind, parts = _pipeline_class(checkpoint)
    if vae is not None:
        parts["vae"] = vae
    path, dtype = checkpoint.path, options.torch_dtype
    try:
        parts |= _missing_tokenizers(checkpoint)
        if path.is_dir():
            return kind.from_pretrained(path, dtype=dtype, local_files_only=True, **parts)
        configuration = str(checkpoint.configuration)
        return kind.from_single_file(path, config=configuration, dtype=dtype, local_files_only=True, **parts)
    except MemoryError:
        raise
    except Exception as error:  # what libraries raise for unfit files has no class in common
        raise UserError(f"The checkpoint {shown_path(path)} cannot be loaded: {one_line(error)}") from error


def _missing_tokenizers(checkpoint: Checkpoint) -> Mapping[str, object]:
    """CLIP's own tokenizers, for checkpoints that do not bring theirs."""
    from transformers import CLIPTokenizer

    path = checkpoint.path
    found: dict[str, object] = {}
    if not (path / "tokenizer").is_dir():
        found["tokenizer"] = CLIPTokenizer.from_pretrained(TOKENIZER)
    if checkpoint.is_sdxl and not (path / "tokenizer_2").is_dir():
        found["tokenizer_2"] = CLIPTokenizer.from_pretrained(TOKENIZER, pad_token="!")
    return found


def _pipeline_class(checkpoint: Checkpoint) -> tuple[PipelineClass, dict[str, object]]:
    """diffusers' class, and what it is not to load."""
    if checkpoint.is_sdxl:
        from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl as sdxl

        return cast("PipelineClass", sdxl.StableDiffusionXLPipeline), {"add_watermarker": False}
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion as sd

    unchecked: dict[str, object] = {"safety_checker": None, "requires_safety_checker": False}
    return cast("PipelineClass", sd.StableDiffusionPipeline), unchecked
