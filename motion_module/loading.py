"""From a file to a motion module."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from motion_module.errors import BrokenMotionModuleError, NotAMotionModuleError, shorten
from motion_module.families import FAMILY_NOTE
from motion_module.kinds import MOTION_MODULE, RUN_ELSEWHERE, explain_misfit
from motion_module.layers import fill
from motion_module.layouts import detect_spec
from motion_module.module import MotionModule
from motion_module.names import find_official_names
from motion_module.spec import MotionModuleSpec
from motion_module.weight_values import check_values, detect_dtype
from motion_module.weights_files import Shape, read_weights, shapes_of


def load_motion_module(path: str | os.PathLike[str], *, dtype: torch.dtype | None = None) -> MotionModule:
    """The motion module of a file, on the CPU, in the file's dtype unless one is given.

    NotAMotionModuleError: the file is something else. BrokenMotionModuleError: it lacks keys, for example.
    """
    path = Path(path)
    weights = read_weights(path)
    family = weights.notes.get(FAMILY_NOTE, "")
    return build_motion_module(weights.tensors, path.stem, dtype=dtype, family=family)


def detect_motion_module(
    tensors: Mapping[str, Tensor], name: str = "", family: str = ""
) -> MotionModuleSpec | None:
    """What motion module these weights are, None where they are none; only keys and shapes are looked at."""
    if any(kind.owns(tensors) for kind in RUN_ELSEWHERE):
        return None
    return detect_spec(shapes_of(tensors), name, family)


def build_motion_module(
    tensors: Mapping[str, Tensor], name: str = "", *, dtype: torch.dtype | None = None, family: str = ""
) -> MotionModule:
    """The motion module that these weights are; it shares their memory where the dtype stays."""
    spec = detect_motion_module(tensors, name, family)
    if spec is None:
        raise NotAMotionModuleError(explain_misfit(tensors, name or "This", MOTION_MODULE))
    names = find_official_names(tensors)
    sources = {**names.sources, **names.picture_encoder, **(names.conv_in if spec.conv_in_channels else {})}
    weights = {key: tensors[source] for key, source in sources.items()}
    module = MotionModule(spec, name, fresh=False)
    check_complete(module, shapes_of(weights), names.unexpected)
    fill_in(module, weights, dtype or detect_dtype(weights.values()), module.name)
    return module.eval()


def check_complete(module: MotionModule, shapes: Mapping[str, Shape], unexpected: Iterable[str] = ()) -> None:
    """BrokenMotionModuleError, with the first key that is missing, of no layer, or of another shape.

    Where a file has no position encodings at all, they are computed and not missed.
    """
    expected = shapes_of(module.state_dict())
    if not any(key.endswith(".pos_encoder.pe") for key in shapes):
        expected = {key: shape for key, shape in expected.items() if not key.endswith(".pos_encoder.pe")}
    what = f"{shorten(module.name) or 'The file'} is a motion module ({module.spec.family})"
    check_shapes(what, expected, shapes, unexpected)


def check_shapes(
    what: str, expected: Mapping[str, Shape], shapes: Mapping[str, Shape], unexpected: Iterable[str] = ()
) -> None:
    """BrokenMotionModuleError where `shapes` are not those that are expected of `what`, a half sentence."""
    of_what = f"{what}, but"
    missing = [key for key in expected if key not in shapes]
    if missing:
        raise BrokenMotionModuleError(
            f"{of_what} {len(missing)} of its {len(expected)} tensors are missing, {missing[0]} for one: "
            "get the complete file."
        )
    surplus = [*(key for key in shapes if key not in expected), *unexpected]
    if surplus:
        raise BrokenMotionModuleError(
            f"{of_what} {shorten(surplus[0])} is of no layer of one: get the file that its authors "
            "published, or use the program it was made for."
        )
    for key, shape in expected.items():
        if shapes[key] != shape:
            raise BrokenMotionModuleError(
                f"{of_what} {key} has the shape {shapes[key]} where {shape} was expected: get the complete "
                "file."
            )


def fill_in(network: nn.Module, weights: Mapping[str, Tensor], dtype: torch.dtype, of_file: str) -> None:
    """Let the weights be the network's parameters and buffers; encodings not among them are computed.

    BrokenMotionModuleError, naming the file, where one holds what cannot be a weight.
    """
    for key, _ in list(network.named_parameters()):
        layer, name = _find_layer(network, key)
        fill(layer, name, _convert(key, weights[key], dtype, of_file), requires_grad=False)
    for key, computed in list(network.named_buffers()):
        layer, name = _find_layer(network, key)
        # Copied, because one encoding of a file can be that of two layers.
        setattr(layer, name, _convert(key, weights.get(key, computed), dtype, of_file).clone())


def _find_layer(module: nn.Module, key: str) -> tuple[nn.Module, str]:
    """The layer that a key's tensor is of, and its name there."""
    path, _, name = key.rpartition(".")
    return module.get_submodule(path), name


def _convert(key: str, tensor: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """A weight in the dtype to run in; BrokenMotionModuleError where it holds what cannot be one."""
    check_values(key, tensor, name or "The file")
    return tensor.to(dtype)
