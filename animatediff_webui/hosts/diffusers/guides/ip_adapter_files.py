"""IP-Adapters and their image encoders from disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.prompt_travel import blend_keyframes
from motion_module.inspection import check_kind, inspect_file
from motion_module.kinds import IP_ADAPTER
from motion_module.weights_files import read_weights

from ..files import existing, one_line, read_json, shown_path
from ..results import NotEnoughMemoryError, memory_explained
from .ip_adapter import ImagePrompt, StateDicts

if TYPE_CHECKING:
    from PIL import Image

    from animatediff_webui.core.plan import Plan

    from ..pipelines import Config
    from .settings import IpAdapter

ENCODER = "image_encoder"
PLACES = (".", "..", "../models")
"""Where the encoder's folder is, from the adapter's on: as its authors published them."""
OF_ONE_VECTOR = "proj.weight"
OF_FACES, OF_WHOLE_FACES = ("proj.2.weight", "perceiver_resampler.proj_in.weight"), "proj.3.weight"
"""What goes by a face's recognition has one of the first; Full Face, which does not, the last, too."""
SIZES = {OF_ONE_VECTOR: "projection_dim", "proj.0.weight": "hidden_size", "proj_in.weight": "hidden_size"}
"""The layer that takes in what the image encoder says, and the encoder's setting that is the size of it."""


@dataclass(frozen=True, eq=False)
class LoadedIpAdapter:
    """Weights, and an image encoder with what prepares pictures for it."""

    weights: StateDicts
    encoder: nn.Module
    prepare: Callable[[Image.Image], Tensor]

    @torch.inference_mode()
    def prompt(self, adapter: IpAdapter, plan: Plan) -> ImagePrompt:
        """What the clip's frames are told by pictures."""
        rows = torch.cat([self.prepare(picture) for picture in adapter.pictures.values()])
        told = self._encode(rows)
        blended = blend_keyframes(
            told, list(adapter.pictures), plan.num_frames, looped=plan.layout.prompts_loop
        )
        is_vector = OF_ONE_VECTOR in self.weights["image_proj"]
        nothing = torch.zeros_like(told[0]) if is_vector else self._encode(torch.zeros_like(rows[:1]))[0]
        return ImagePrompt(self.weights, blended, nothing, adapter)

    def _encode(self, rows: Tensor) -> Tensor:
        """Of pictures one vector each, or what the layer before the last one says of their parts."""
        weight = next(self.encoder.parameters())
        is_vector = OF_ONE_VECTOR in self.weights["image_proj"]
        output = cast("Any", self.encoder)(
            rows.to(weight), output_hidden_states=not is_vector
        )  # Any: untyped
        return cast("Tensor", output.image_embeds if is_vector else output.hidden_states[-2]).float().cpu()


def load_ip_adapter(
    adapter: IpAdapter, path: Path, unet: nn.Module, device: torch.device, dtype: torch.dtype
) -> LoadedIpAdapter:
    """The adapter with its encoder.

    Raises UserError and MotionModuleError for what is none, or does not fit the checkpoint.
    """
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    weights = _read(adapter, path, unet)
    folder = _find_encoder(adapter, path, _encoded_size(weights))
    try:
        with memory_explained():
            known = cast("Any", CLIPVisionModelWithProjection)  # Any: transformers' types say too little
            encoder = cast("nn.Module", known.from_pretrained(folder, dtype=dtype, local_files_only=True))
    except NotEnoughMemoryError:
        raise
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        raise UserError(
            f"The image encoder {shown_path(folder)} cannot be loaded: {one_line(error)}"
        ) from error
    size = cast("Any", encoder).config.image_size
    processor = cast("Any", CLIPImageProcessor(size=size, crop_size=size))

    def prepare(picture: Image.Image) -> Tensor:
        return cast("Tensor", processor(picture, return_tensors="pt").pixel_values)

    return LoadedIpAdapter(weights, encoder.to(device).eval().requires_grad_(False), prepare)


def _read(adapter: IpAdapter, path: Path, unet: nn.Module) -> StateDicts:
    file = inspect_file(path)
    check_kind(file, IP_ADAPTER)
    what = f"The IP-Adapter {shown_path(path)}"
    layers = {key.removeprefix("image_proj.") for key in file.shapes}
    if any(key in layers for key in OF_FACES) and OF_WHOLE_FACES not in layers:
        raise UserError(f"{what} goes by faces, which needs their recognition: choose one without FaceID.")
    config = cast("Config", cast("Any", unet).config)  # Any: torch has no configurations
    widths = {shape[1] for key, shape in file.shapes.items() if key.endswith(".to_k_ip.weight")}
    if widths != {config.get("cross_attention_dim")}:
        raise UserError(f"{what} was made for another kind of checkpoint: choose one for this kind.")
    parts: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in read_weights(path).tensors.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = tensor
    return parts


def _encoded_size(weights: StateDicts) -> tuple[str, int] | None:
    """What the adapter wants of its image encoder: a setting by name, and its value; None where unknown."""
    layers = weights["image_proj"]
    return next(((setting, layers[name].shape[1]) for name, setting in SIZES.items() if name in layers), None)


def _find_encoder(adapter: IpAdapter, path: Path, wanted: tuple[str, int] | None) -> Path:
    """The folder of its image encoder: the one that is named, or of those beside it the first that fits."""
    if adapter.image_encoder is not None:
        folders = [existing(Path(adapter.image_encoder), "image encoder")]
    else:
        folders = [path.parent / place / ENCODER for place in PLACES]
        folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        raise UserError(
            f"The IP-Adapter {shown_path(path)} has no image encoder beside it: put its folder {ENCODER} "
            "there, or name it as image_encoder."
        )
    fitting = [folder for folder in folders if wanted is None or _setting(folder, wanted[0]) == wanted[1]]
    if wanted is not None and not fitting:
        raise UserError(
            f"The image encoder {shown_path(folders[0])} is not the one of the IP-Adapter {path.name} (its "
            f"{wanted[0]} is {_setting(folders[0], wanted[0])}, wanted is {wanted[1]}): name that one as "
            "image_encoder."
        )
    return fitting[0]


def _setting(folder: Path, name: str) -> object:
    """Of an image encoder's settings. Raises UserError where they cannot be read."""
    from transformers import CLIPVisionConfig

    known = cast("Any", CLIPVisionConfig)  # Any: transformers' types say too little
    return getattr(known(**read_json(folder / "config.json")), name)
