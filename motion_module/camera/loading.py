"""From a file to CameraCtrl."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from motion_module.camera.network import CameraCtrl
from motion_module.camera.spec import CameraSpec
from motion_module.errors import BrokenMotionModuleError, NotAMotionModuleError, shorten
from motion_module.kinds import CAMERACTRL, detect_kind, explain_misfit
from motion_module.loading import check_shapes, fill_in
from motion_module.names import BLOCK, NUMBER, PREFIX
from motion_module.spec import NORM_GROUPS, BaseModel
from motion_module.weight_values import detect_dtype
from motion_module.weights_files import Shape, read_weights, shapes_of

ENCODER = re.compile(rf"{PREFIX}(encoder_.+)")
MERGE = re.compile(
    rf"{PREFIX}({BLOCK}\.motion_modules\.{NUMBER}\.temporal_transformer\.transformer_blocks\.{NUMBER}"
    rf"\.attention_blocks\.{NUMBER}\.processor\.qkv_merge\.(?:weight|bias))"
)
WIDTH = re.compile(rf"encoder\.encoder_down_conv_blocks\.{NUMBER}\.0\.block1\.weight")
POSITIONS = "encoder.encoder_down_attention_blocks.0.0.attention_blocks.0.pos_encoder.pe"


def load_camera_ctrl(path: str | os.PathLike[str], *, dtype: torch.dtype | None = None) -> CameraCtrl:
    """CameraCtrl of a file, on the CPU, in the file's dtype unless one is given.

    NotAMotionModuleError: the file is something else. BrokenMotionModuleError: it lacks keys, for example.
    """
    path = Path(path)
    return build_camera_ctrl(read_weights(path).tensors, path.stem, dtype=dtype)


def build_camera_ctrl(
    tensors: Mapping[str, Tensor], name: str = "", *, dtype: torch.dtype | None = None
) -> CameraCtrl:
    """CameraCtrl of these weights; it shares their memory where the dtype stays."""
    if detect_kind(tensors) is not CAMERACTRL:
        raise NotAMotionModuleError(explain_misfit(tensors, name or "This", CAMERACTRL))
    weights = {ours: tensor for key, tensor in tensors.items() if (ours := _our_name(key))}
    shapes = shapes_of(weights)
    camera = CameraCtrl(_read_spec(shapes, name), name)
    what = f"{shorten(name) or 'The file'} is CameraCtrl's"
    check_shapes(what, shapes_of(camera.state_dict()), shapes)
    fill_in(camera, weights, dtype or detect_dtype(weights.values()), name)
    return camera.eval()


def _our_name(key: str) -> str | None:
    """Where a tensor is in our network; None for what is of no layer, such as a training's."""
    if match := ENCODER.fullmatch(key):
        return f"encoder.{match[1]}"
    match = MERGE.fullmatch(key)
    return match and match[1]


def _read_spec(shapes: Mapping[str, Shape], name: str) -> CameraSpec:
    """The layout, by the shapes; BrokenMotionModuleError where it is none that can be."""
    widths = tuple(shape[0] for key, shape in sorted(shapes.items()) if WIDTH.fullmatch(key) and shape)
    positions = shapes.get(POSITIONS, ())
    is_possible = all(width and width % NORM_GROUPS == 0 for width in widths)
    if BaseModel.of_levels(len(widths)) is None or not is_possible or len(positions) != 3 or not positions[1]:
        raise BrokenMotionModuleError(
            f"{shorten(name)} is CameraCtrl's, but has levels of {', '.join(map(str, widths)) or 'no'} "
            f"channels and positions of the shape {positions}: get the complete file."
        )
    return CameraSpec(widths, positions[1])
