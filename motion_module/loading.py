"""From a file to a motion module."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from motion_module.checkpoints import read_checkpoint
from motion_module.errors import BrokenMotionModuleError, NotAMotionModuleError
from motion_module.families import detect_spec
from motion_module.module import MotionModule
from motion_module.names import to_official
from motion_module.other_kinds import SPARSECTRL_ENCODER, explain
from motion_module.spec import MotionModuleSpec

FAMILY_NOTE = "motion_module.family"
"""Where the header of a file that this package writes says its family: not every naming shows it."""
DTYPES_TO_RUN_IN = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def load_motion_module(path: str | os.PathLike[str], *, dtype: torch.dtype | None = None) -> MotionModule:
    """The motion module of a file, on the CPU, in the file's dtype unless one is given.

    NotAMotionModuleError: the file is something else. BrokenMotionModuleError: it lacks keys, for example.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    family = checkpoint.metadata.get(FAMILY_NOTE, "")
    return build_motion_module(checkpoint.tensors, path.stem, dtype=dtype, family=family)


def detect_motion_module(
    tensors: Mapping[str, Tensor], name: str = "", family: str = ""
) -> MotionModuleSpec | None:
    """What motion module these weights are, None where they are none; only keys and shapes are looked at."""
    if SPARSECTRL_ENCODER.owns(tensors):
        return None
    return detect_spec(to_official(tensors), name, family)


def build_motion_module(
    tensors: Mapping[str, Tensor], name: str = "", *, dtype: torch.dtype | None = None, family: str = ""
) -> MotionModule:
    """The motion module that these weights are; it shares their memory where the dtype stays."""
    spec = detect_motion_module(tensors, name, family)
    if spec is None:
        raise NotAMotionModuleError(explain(tensors, name or "This"))
    keys = to_official(tensors)
    weights = keys.tensors | (keys.conv_in if spec.conv_in_channels else {})
    with _WithoutFirstWeights():
        module = MotionModule(spec, name)
    check_complete(module, weights, keys.foreign)
    dtype = dtype or detect_dtype(weights.values())
    module.load_state_dict(
        {key: tensor.to(dtype) for key, tensor in weights.items()}, strict=False, assign=True
    )
    return module.to(dtype).requires_grad_(False).eval()


def check_complete(module: MotionModule, weights: Mapping[str, Tensor], foreign: Iterable[str] = ()) -> None:
    """BrokenMotionModuleError, with the first key that is missing, of no layer, or of another shape.

    Where a file has no position encodings at all, they are computed and not missed.
    """
    of_what = f"{module.name or 'The file'} is a motion module ({module.spec.family}), but"
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    if not any(key.endswith(".pos_encoder.pe") for key in weights):
        expected = {key: shape for key, shape in expected.items() if not key.endswith(".pos_encoder.pe")}
    if missing := [key for key in expected if key not in weights]:
        raise BrokenMotionModuleError(
            f"{of_what} {len(missing)} of its {len(expected)} tensors are missing, {missing[0]} for one: "
            "get the complete file."
        )
    if foreign := [*(key for key in weights if key not in expected), *foreign]:
        raise BrokenMotionModuleError(
            f"{of_what} {foreign[0]} is of no layer of one: get the file that its authors published, or use "
            "the program it was made for."
        )
    for key, shape in expected.items():
        if tuple(weights[key].shape) != shape:
            raise BrokenMotionModuleError(
                f"{of_what} {key} has the shape {tuple(weights[key].shape)} where {shape} was expected: "
                "get the complete file."
            )


def detect_dtype(tensors: Iterable[Tensor]) -> torch.dtype:
    """The dtype most of the weights have, or float16 where that is for storage only, such as float8."""
    dtypes = Counter(tensor.dtype for tensor in tensors if tensor.is_floating_point())
    most_common = next((dtype for dtype, _ in dtypes.most_common(1)), torch.float32)
    return most_common if most_common in DTYPES_TO_RUN_IN else torch.float16


class _WithoutFirstWeights(TorchFunctionMode):
    """Inside, modules are built without filling the weights that a file's will replace.

    So they are on the meta device, but that takes a second when first used, which this does not.
    """

    # Any: PyTorch hands over whatever is called.
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
