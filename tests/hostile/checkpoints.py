"""diffusers folders with one thing wrong: each a change of a whole one."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.hostile.weights import Bomb

Change = Callable[[Path], object]


def _text(name: str, content: str) -> Change:
    return lambda folder: (folder / name).write_text(content)


def _gone(name: str) -> Change:
    def remove(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def _cut(name: str) -> Change:
    def cut(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return cut


def _setting(name: str, key: str, value: object) -> Change:
    """A configuration with another value; None takes the key away."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        content[key] = value
        if value is None:
            del content[key]
        (folder / name).write_text(json.dumps(content))

    return change


def _with_pickle(part: str, file: str) -> Change:
    """Weights as a pickle that would run a program."""

    def change(folder: Path) -> None:
        for path in (folder / part).glob("*.safetensors"):
            path.unlink()
        (folder / part / file).write_bytes(pickle.dumps(Bomb(folder.parent / "pickle-ran")))

    return change


def _with_program(folder: Path) -> None:
    """A pipeline that brings its own program."""
    (folder / "pipeline.py").write_text(f"open({str(folder.parent / 'pickle-ran')!r}, 'w').close()\n")
    content = json.loads((folder / "model_index.json").read_text())
    content["_class_name"] = ["pipeline", "Pipeline"]
    (folder / "model_index.json").write_text(json.dumps(content))


def _wider(folder: Path) -> None:
    path = next((folder / "unet").glob("*.safetensors"))
    save_file({key: torch.zeros(3) for key in load_file(path)}, path)


UNET, VAE, INDEX = "unet/config.json", "vae/config.json", "model_index.json"
DAMAGES: Mapping[str, Change] = {
    "empty index": _text(INDEX, ""),
    "null index": _text(INDEX, "null"),
    "index of a number": _text(INDEX, "5"),
    "index of a list": _text(INDEX, "[]"),
    "empty object": _text(INDEX, "{}"),
    "deep index": _text(INDEX, "[" * 100_000),
    "no index": _gone(INDEX),
    "unknown class": _setting(INDEX, "_class_name", "NoSuchPipeline"),
    "class of a number": _setting(INDEX, "_class_name", 5),
    "unet of an unknown class": _setting(INDEX, "unet", ["os", "system"]),
    "no unet": _gone("unet"),
    "no unet settings": _gone(UNET),
    "unet settings cut": _cut(UNET),
    "no size": _setting(UNET, "sample_size", None),
    "size of a text": _setting(UNET, "sample_size", "64"),
    "negative size": _setting(UNET, "sample_size", -1),
    "no blocks": _setting(VAE, "block_out_channels", None),
    "inpainting": _setting(UNET, "in_channels", 9),
    "no unet weights": _gone("unet/diffusion_pytorch_model.safetensors"),
    "unet weights cut": _cut("unet/diffusion_pytorch_model.safetensors"),
    "unet weights of other shapes": _wider,
    "no vae": _gone("vae"),
    "vae weights cut": _cut("vae/diffusion_pytorch_model.safetensors"),
    "no text encoder": _gone("text_encoder"),
    "text encoder cut": _cut("text_encoder/model.safetensors"),
    "empty tokenizer": lambda folder: [path.unlink() for path in (folder / "tokenizer").iterdir()],
    "tokenizer settings of a number": _text("tokenizer/tokenizer_config.json", "5"),
    "no scheduler": _gone("scheduler"),
    "scheduler of a list": _text("scheduler/scheduler_config.json", "[]"),
    "text encoder that is a program": _with_pickle("text_encoder", "pytorch_model.bin"),
    "unet that is a program": _with_pickle("unet", "diffusion_pytorch_model.bin"),
    "pipeline that is a program": _with_program,
}


def damaged(checkpoint: Path, place: Path, damage: str) -> Path:
    """A copy of the checkpoint below `place` with that damage."""
    folder = place / damage.replace(" ", "_")
    shutil.copytree(checkpoint, folder)
    DAMAGES[damage](folder)
    return folder
