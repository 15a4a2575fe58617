"""Checkpoints: what one is, as far as its names tell, and the pipeline that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from animatediff_webui.core.errors import UserError
from motion_module.inspection import check_checkpoint, inspect_file
from motion_module.spec import BaseModel

from .files import check_encodable, existing, one_line, read_json, shown_path
from .model_options import ModelOptions
from .pipelines import Pipeline, PipelineClass, TokenizerClass, Vae
from .results import NotEnoughMemoryError, memory_explained
from .vae_file import load_vae

CONFIGURATIONS = Path(__file__).resolve().parent / "configurations"
TOKENIZER = CONFIGURATIONS / "tokenizer"
VOCABULARIES = ("tokenizer.json", "vocab.json")
FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"
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
    """What the checkpoint is. UserError and MotionModuleError where there is none, or one of another kind."""
    existing(path, "checkpoint")
    return _describe_folder(path) if path.is_dir() else _describe_file(path)


def load_pipeline(options: ModelOptions, checkpoint: Checkpoint) -> Pipeline:
    """The pipeline, placed and switched as the options say.

    Raises UserError and MotionModuleError where a file is missing, is no checkpoint, or is damaged.
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
    device = options.torch_device
    if options.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif options.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)


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
    unet, vae = (read_json(folder / component / "config.json") for component in ("unet", "vae"))
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
    file = inspect_file(path)
    is_sdxl = check_checkpoint(file) is BaseModel.SDXL
    _, channels, *_ = file.shapes.get(FIRST_LAYER, (0, LATENT_CHANNELS))
    _check_channels(path, channels)
    return Checkpoint(path, is_sdxl, _configured_size(_configuration(is_sdxl)))


def _configuration(is_sdxl: bool) -> Path:
    return CONFIGURATIONS / ("sdxl" if is_sdxl else "sd15")


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
    parts |= _missing_tokenizers(checkpoint)
    config = str(checkpoint.configuration)
    try:
        with memory_explained():
            if path.is_dir():
                return kind.from_pretrained(path, dtype=dtype, local_files_only=True, **parts)
            return kind.from_single_file(path, config=config, dtype=dtype, local_files_only=True, **parts)
    except NotEnoughMemoryError:
        raise
    except Exception as error:  # what libraries raise for unfit files has no class in common
        raise UserError(f"The checkpoint {shown_path(path)} cannot be loaded: {one_line(error)}") from error


def _missing_tokenizers(checkpoint: Checkpoint) -> Mapping[str, object]:
    """CLIP's own tokenizers, for checkpoints that do not bring theirs."""
    from transformers import CLIPTokenizer

    check_encodable(TOKENIZER, "tokenizer")
    tokenizer_class, path = cast("TokenizerClass", CLIPTokenizer), checkpoint.path
    tokenizers: dict[str, object] = {}
    if not _has_tokenizer(path / "tokenizer"):
        tokenizers["tokenizer"] = tokenizer_class.from_pretrained(TOKENIZER)
    if checkpoint.is_sdxl and not _has_tokenizer(path / "tokenizer_2"):
        tokenizers["tokenizer_2"] = tokenizer_class.from_pretrained(TOKENIZER, pad_token="!")
    return tokenizers


def _has_tokenizer(folder: Path) -> bool:
    """Whether there is one. UserError where its words are missing: transformers would know none, silently."""
    if not folder.is_dir():
        return False
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise UserError(
            f"{shown_path(folder)} holds no vocabulary ({' or '.join(VOCABULARIES)}): get the whole folder, "
            "or remove it to use CLIP's own."
        )
    return True


def _pipeline_class(checkpoint: Checkpoint) -> tuple[PipelineClass, dict[str, object]]:
    """diffusers' class, and what it is not to load."""
    if checkpoint.is_sdxl:
        from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl as sdxl

        return cast("PipelineClass", sdxl.StableDiffusionXLPipeline), {"add_watermarker": False}
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion as sd

    unchecked: dict[str, object] = {"safety_checker": None, "requires_safety_checker": False}
    return cast("PipelineClass", sd.StableDiffusionPipeline), unchecked
