"""Weights files as they come off broken downloads, wrong folders and bad people."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

MARKER = "pickle-ran"


class Bomb:
    """What a pickle that runs a program holds: here, one that leaves a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class EvalBomb(Bomb):
    """The same without a program."""

    def __reduce__(self):
        return eval, (f"open({str(self.marker)!r}, 'w').close()",)


def header(content: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with this header, and another length than its own."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


RAW: Mapping[str, bytes] = {
    "empty.safetensors": b"",
    "html.safetensors": b"<!DOCTYPE html><html><body>404</body></html>",
    "html.ckpt": b"<!DOCTYPE html><html><body>404</body></html>",
    "pointer.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "p80.ckpt": b"\x80\x02.",
    "p80memo.ckpt": b"\x80\x02r\xff\xff\xff\xff.",
    "zip.ckpt": b"PK\x03\x04" + b"\0" * 100,
    "long_header.safetensors": header({}, length=2**60),
    "longest_header.safetensors": header({}, length=2**64 - 1),
    "no_tensors.safetensors": header({}),
    "list_header.safetensors": header([]),
    "deep_header.safetensors": header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "overlap.safetensors": header({"a": tensor([2], [0, 8]), "b": tensor([2], [4, 12])}, b"\0" * 12),
    "out_of_range.safetensors": header({"a": tensor([2], [0, 8])}, b"\0" * 4),
    "negative.safetensors": header({"a": tensor([-2], [0, 8])}, b"\0" * 8),
    "giant.safetensors": header({"a": tensor([2**40, 2**40], [0, 8])}, b"\0" * 8),
    "backwards.safetensors": header({"a": tensor([2], [8, 0])}, b"\0" * 8),
    "unknown_dtype.safetensors": header({"a": tensor([2], [0, 8], "X9")}, b"\0" * 8),
    "half_a_letter.safetensors": header(
        b'{"\\ud800": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', b"\0" * 4
    ),
    "long_key.safetensors": header({"k" * 100_000: tensor([1], [0, 4])}, b"\0" * 4),
}  # fmt: skip


def recursive() -> object:
    content: dict[str, object] = {}
    content["state_dict"] = content
    return content


UP = "lora_unet_up_blocks_2_attentions_1_transformer_blocks_0_attn1_to_q"
TEXT = "lora_te_text_model_encoder_layers_99_mlp_fc1"
FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"


Tensors = dict[str, torch.Tensor]


def low_rank(layer: str, down: tuple[int, ...], up: tuple[int, ...]) -> Callable[[], Tensors]:
    """A LoRA of one layer."""
    shapes = {"down": down, "up": up}
    return lambda: {f"{layer}.lora_{end}.weight": torch.zeros(shape) for end, shape in shapes.items()}


PICKLED: Mapping[str, Callable[[], object]] = {
    "recursive.ckpt": recursive,
    "int.ckpt": lambda: 5,
    "none.ckpt": lambda: None,
    "empty_dict.ckpt": dict,
    "int_keys.ckpt": lambda: {1: torch.zeros(2), 2: torch.zeros(2)},
    "text.ckpt": lambda: {"state_dict": "weights"},
    "long_key.ckpt": lambda: {"k" * 100_000: torch.zeros(1)},
    "half_a_letter.ckpt": lambda: {"\ud800": torch.zeros(1)},
}
SAVED: Mapping[str, Callable[[], Tensors]] = {
    "other.safetensors": lambda: {"weight": torch.zeros(2)},
    "lora_0d.safetensors": low_rank(UP, (), ()),
    "lora_4d.safetensors": low_rank(UP, (2, 2, 3, 3), (2, 2, 3, 3)),
    "lora_odd.safetensors": low_rank(UP, (3, 7), (5, 3)),
    "lora_half.safetensors": lambda: {f"{UP}.lora_down.weight": torch.zeros(3, 7)},
    "lora_names.safetensors": low_rank("lora_unet_nowhere", (2, 2), (2, 2)),
    "lora_text.safetensors": low_rank(TEXT, (2, 2), (2, 2)),
    "one_key.safetensors": lambda: {FIRST_LAYER: torch.zeros(320, 4, 3, 3)},
    "two_keys.safetensors": lambda: {
        FIRST_LAYER: torch.zeros(320, 4, 3, 3),
        "model.diffusion_model.out.2.weight": torch.zeros(4, 320, 3, 3),
    },
    "vae_key.safetensors": lambda: {"decoder.conv_in.weight": torch.zeros(512, 4, 3, 3)},
}


def _changed(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], Tensors]:
    return lambda module: {key: change(value).contiguous() for key, value in module.items()}


def _poisoned(value: float) -> Callable[[Tensors], Tensors]:
    def change(module: Tensors) -> Tensors:
        first = next(key for key in module if key.endswith("proj_out.weight"))
        bad = module[first].clone()
        bad[0, 0] = value
        return {**module, first: bad}

    return change


def _without(count: int) -> Callable[[Tensors], Tensors]:
    return lambda module: dict(list(module.items())[count:])


MODULES: Mapping[str, Callable[[Tensors], Tensors]] = {
    "mm_nan.safetensors": _poisoned(float("nan")),
    "mm_inf.safetensors": _poisoned(float("inf")),
    "mm_int8.safetensors": _changed(lambda value: value.to(torch.int8)),
    "mm_int64.safetensors": _changed(lambda value: value.to(torch.int64)),
    "mm_bool.safetensors": _changed(lambda value: value.bool()),
    "mm_complex.safetensors": _changed(lambda value: value.to(torch.complex64)),
    "mm_short.safetensors": _without(3),
    "mm_flat.safetensors": _changed(lambda value: value.flatten()),
    "mm_empty_dims.safetensors": _changed(lambda value: value[:0]),
}
"""What a motion module becomes."""
MODULE_PICKLES: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mm_meta.ckpt": lambda value: value.to("meta"),
    "mm_sparse.ckpt": lambda value: value.to_sparse() if value.ndim == 2 else value,
    "mm_expanded.ckpt": lambda value: torch.zeros(1).expand(value.shape),
}


def write_damaged(folder: Path, module_file: Path) -> list[Path]:
    """One of each, below a folder; none is a motion module, a LoRA, a VAE or a checkpoint."""
    module = load_file(module_file)
    for name, data in RAW.items():
        (folder / name).write_bytes(data)
    for name, make in PICKLED.items():
        torch.save(make(), folder / name)
    for name, make in SAVED.items():
        save_file(make(), folder / name)
    for name, change in MODULES.items():
        save_file(change(module), folder / name)
    for name, change in MODULE_PICKLES.items():
        torch.save({key: change(value) for key, value in module.items()}, folder / name)
    whole = module_file.read_bytes()
    (folder / "mm_cut.safetensors").write_bytes(whole[: len(whole) // 2])
    torch.save(module, folder / "mm_cut.ckpt")
    pickled = (folder / "mm_cut.ckpt").read_bytes()
    (folder / "mm_cut.ckpt").write_bytes(pickled[: len(pickled) // 2])
    write_zip_bomb(folder / "zip_bomb.ckpt")
    return sorted(folder.iterdir())


def write_zip_bomb(path: Path, size: int = 50_000_000) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * size)
        file.writestr("archive/version", b"3")


def write_bombs(folder: Path, marker: Path) -> list[Path]:
    """Pickles that would run a program, under all names that weights have, in all forms that pickles have."""
    for bomb in (Bomb(marker), EvalBomb(marker)):
        for suffix in (".ckpt", ".pth", ".pt", ".bin", ".safetensors"):
            for protocol in (0, 2, 4):
                name = f"{type(bomb).__name__}{protocol}"
                (folder / f"{name}{suffix}").write_bytes(pickle.dumps(bomb, protocol))
            for is_zip in (True, False):
                path = folder / f"{type(bomb).__name__}_{'zip' if is_zip else 'legacy'}{suffix}"
                torch.save({"state_dict": bomb}, path, _use_new_zipfile_serialization=is_zip)
    return sorted(folder.iterdir())
