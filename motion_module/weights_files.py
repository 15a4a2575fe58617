"""Weights from disk: safetensors, or pickles restricted to tensors; told apart by content, not by name."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol, cast

import torch
from safetensors import safe_open
from torch import Tensor

from motion_module.errors import MotionModuleError, UnreadableFileError, shorten

Shape = tuple[int, ...]

SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
"""What files of weights are called; what they are, their contents say."""
WRAPPERS = ("state_dict", "module", "model", "unet", "controlnet")
"""Where training scripts put the weights, beside the step and the like."""
PARTS = ("pose_encoder_state_dict", "attention_processor_state_dict")
"""Where CameraCtrl's puts those of its two parts, whose keys are all different."""
MOST_WRAPPERS = 8
"""One in the other; more are a file that wraps itself."""
LONGEST_KEY = 1000
ZIP, PICKLE = b"PK", b"\x80"
"""How what `torch.save` writes starts, since PyTorch 1.6 and before."""


def files_below(folder: Path) -> Iterator[Path]:
    """The files of weights in a folder and its sub-folders, linked ones too, in the order of their names."""
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES:
                yield path


@dataclass(frozen=True)
class Weights:
    """A file's tensors by key, and the header's notes of a safetensors file."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Shapes:
    """The shapes of a file's tensors by key, and the header's notes of a safetensors file."""

    shapes: Mapping[str, Shape]
    notes: Mapping[str, str]


class _Slice(Protocol):
    def get_shape(self) -> list[int]: ...


class _SafetensorsFile(Protocol):
    """What is used of an open safetensors file, whose own type the library leaves open."""

    def keys(self) -> list[str]: ...
    def metadata(self) -> dict[str, str] | None: ...
    def get_tensor(self, name: str) -> Tensor: ...
    def get_slice(self, name: str) -> _Slice: ...


def read_weights(path: Path) -> Weights:
    """All tensors of a file, on the CPU.

    MotionModuleError where there is no file, UnreadableFileError where it cannot be read as weights.
    """
    if _is_safetensors(path):
        return _read_safetensors(path)
    return Weights(_find_tensors(_read_pickle(path, mmap=False), path), {})


def read_shapes(path: Path) -> Shapes:
    """The shapes of a file's tensors, without reading their values where the format allows it.

    MotionModuleError where there is no file, UnreadableFileError where it cannot be read as weights.
    """
    if _is_safetensors(path):
        return _read_safetensors_shapes(path)
    is_mapped = _read_start(path).startswith(ZIP) and not _is_misnamed(path)
    tensors = _find_tensors(_read_pickle(path, mmap=is_mapped), path)
    return Shapes(shapes_of(tensors), {})


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """The shapes of tensors by key."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def _is_safetensors(path: Path) -> bool:
    """Whether the file is one; False for a pickle, UnreadableFileError for all else."""
    start = _read_start(path)
    if start[8:] == b"{":
        return True
    if start.startswith((ZIP, PICKLE)):
        return False
    raise UnreadableFileError(
        f"{shorten(path.name)} is neither a safetensors nor a PyTorch file (its start: {start!r}): download "
        "it again."
    )


def _read_start(path: Path) -> bytes:
    """The first bytes, by which formats differ; not of a pipe, which would keep one waiting."""
    shown = shorten(path)
    try:
        if path.is_dir():
            raise MotionModuleError(f"{shown} is a folder: name a weights file.")
        if not path.is_file():
            raise MotionModuleError(f"There is no file {shown}: check the name and the folder.")
        with path.open("rb") as file:
            return file.read(9)
    except OSError as error:
        raise UnreadableFileError(
            f"{shown} cannot be read ({error.strerror}): check the name and the file's permissions."
        ) from error


def _read_safetensors(path: Path) -> Weights:
    with _faults_named(path), _opened(path) as file:
        keys = _checked_keys(file, path)
        return Weights({key: file.get_tensor(key) for key in keys}, file.metadata() or {})


def _read_safetensors_shapes(path: Path) -> Shapes:
    """From the header, which is all that is read."""
    with _faults_named(path), _opened(path) as file:
        keys = _checked_keys(file, path)
        return Shapes({key: tuple(file.get_slice(key).get_shape()) for key in keys}, file.metadata() or {})


def _opened(path: Path) -> AbstractContextManager[_SafetensorsFile]:
    return cast("AbstractContextManager[_SafetensorsFile]", safe_open(path, framework="pt"))


def _read_pickle(path: Path, *, mmap: bool) -> object:
    """What a pickle holds. mmap: leave the values on the disk."""
    with _faults_named(path), warnings.catch_warnings(), path.open("rb") as file:
        # Of pickle protocols and of deprecated storages, which are not the user's business.
        warnings.filterwarnings("ignore", module="torch")
        # By name, where that is possible: only then it can be mapped, and a host may have put a check before
        # PyTorch's function, which leaves an open file read.
        source = file if _is_misnamed(path) else str(path)
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)
    if content is None:
        raise UnreadableFileError(
            f"{shorten(path.name)} was not read: the WebUI's own check of PyTorch files refuses it, and its "
            "log says why: get a safetensors version, or make one with python -m motion_module convert."
        )
    return content


def _is_misnamed(path: Path) -> bool:
    """Whether PyTorch would, by its name, take a pickle for safetensors."""
    return path.suffix == ".safetensors"


@contextmanager
def _faults_named(path: Path) -> Generator[None]:
    """Whatever reading a damaged file raises, as one sentence."""
    shown = shorten(path.name)
    try:
        yield
    except MotionModuleError:
        raise
    except pickle.UnpicklingError as error:
        raise UnreadableFileError(
            f"{shown} holds more than tensors, and could run programs, or is damaged: get a safetensors "
            "version."
        ) from error
    except Exception as error:  # a damaged pickle is a damaged program: there is nothing it does not raise
        reason = shorten(error) or type(error).__name__
        raise UnreadableFileError(
            f"{shown} is damaged, as a download that broke off is ({reason}): download it again."
        ) from error


def _find_tensors(content: object, path: Path) -> dict[str, Tensor]:
    """The tensors of a pickle, taken out of what wraps them; UnreadableFileError for one without values."""
    tensors: dict[str, Tensor] = {}
    for key, value in _unwrap(content, path).items():
        if isinstance(value, Tensor):
            _check_key(str(key), path)
            _check_has_values(str(key), value, path)
            tensors[str(key)] = value
    return tensors


def _checked_keys(file: _SafetensorsFile, path: Path) -> list[str]:
    keys = file.keys()
    for key in keys:
        _check_key(key, path)
    return keys


def _check_key(key: str, path: Path) -> None:
    """Longer keys are no names of layers, and would be slow to look for names in."""
    if len(key) > LONGEST_KEY:
        raise UnreadableFileError(
            f"{shorten(path.name)} has a tensor with a name of {len(key)} letters, where {LONGEST_KEY} are "
            "the most: choose another file."
        )


def _unwrap(content: object, path: Path) -> Mapping[object, object]:
    for _ in range(MOST_WRAPPERS):
        if not isinstance(content, Mapping):
            return {}
        mapping = cast("Mapping[object, object]", content)
        parts = _mappings(mapping, PARTS)
        wrapped = _mappings(mapping, WRAPPERS)
        if parts:
            content = dict(chain.from_iterable(part.items() for part in parts))
        elif wrapped:
            content = wrapped[0]
        else:
            return mapping
    raise UnreadableFileError(
        f"{shorten(path.name)} wraps its weights more than {MOST_WRAPPERS} times: save its state dict alone."
    )


def _mappings(mapping: Mapping[object, object], names: Iterable[str]) -> list[Mapping[object, object]]:
    """What of these names holds weights."""
    found = (mapping.get(name) for name in names)
    return [cast("Mapping[object, object]", each) for each in found if isinstance(each, Mapping)]


def _check_has_values(key: str, tensor: Tensor, path: Path) -> None:
    """A tensor's values must be there, one for each of its places; other forms cannot be computed with."""
    needed = tensor.numel() * tensor.element_size()
    is_plain = tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_quantized
    if not is_plain or tensor.untyped_storage().nbytes() < needed:
        raise UnreadableFileError(
            f"{shorten(path.name)} does not hold all values of {shorten(key)}, but a sparse, quantised, "
            "repeated or empty form of them: save it with plain tensors."
        )
