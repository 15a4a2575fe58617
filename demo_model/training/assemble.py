"""From finished stages to the embedded model: fp16, in diffusers' folder layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DPMSolverMultistepScheduler,
    ModelMixin,
    SparseControlNetModel,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel

NETWORKS: dict[str, type[ModelMixin]] = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "controlnet/outline": ControlNetModel,
    "sparsectrl/rgb": SparseControlNetModel,
}


def assemble(runs: Path, model: Path) -> None:
    """Copy what the stages left in `runs` into `model`, halved in precision."""
    CLIPTextModel.from_pretrained(runs / "text_encoder", dtype=torch.float16).save_pretrained(
        model / "text_encoder"
    )
    for folder, kind in NETWORKS.items():
        kind.from_pretrained(runs / folder, dtype=torch.float16).save_pretrained(model / folder)
        _forget_origin(model / folder / "config.json")
    scheduler = DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        steps_offset=1,
    )
    scheduler.save_pretrained(model / "scheduler")
    for part in ("motion", "lora"):
        shutil.copytree(runs / part, model / part, dirs_exist_ok=True)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (model / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf8")


def _forget_origin(path: Path) -> None:
    """diffusers notes the folder that weights were read from; nobody else has it."""
    config = json.loads(path.read_text(encoding="utf8"))
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
