"""`python -m motion_module`: what a file is, and the same file under other names or in another dtype."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from motion_module.camera.loading import build_camera_ctrl
from motion_module.camera.network import CameraCtrl
from motion_module.errors import MotionModuleError, shorten
from motion_module.families import FAMILY_NOTE
from motion_module.kinds import CAMERACTRL, detect_kind
from motion_module.loading import build_motion_module, load_motion_module
from motion_module.lora.weights import MotionLora, detect_motion_lora
from motion_module.module import MotionModule
from motion_module.names import DIFFUSERS, OFFICIAL, find_official_names
from motion_module.weights_files import read_weights
from motion_module.writing import write_motion_module

NAMINGS = {"official": OFFICIAL, "diffusers": DIFFUSERS}
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def describe_module(module: MotionModule, naming: str) -> dict[str, str]:
    """What `inspect` says of a motion module."""
    spec = module.spec
    parameters = list(module.parameters())
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in parameters)
    rows = {
        "family": spec.family,
        "base model": spec.base_model.value,
        "names": naming,
        "dtype": ", ".join(dtypes),
        "parameters": f"{sum(tensor.numel() for tensor in parameters):,}",
        "layers": f"{len(module.layers())}, {'with' if spec.has_mid_block else 'without'} the mid block",
        "widths": ", ".join(map(str, spec.widths)),
        "context length": f"{spec.context_length}, at most {spec.max_context_length}",
        "beta schedule": spec.beta_schedule.value,
        "GroupNorm across frames": "yes" if spec.video_group_norm else "no",
        "advice": spec.advice,
    }
    return {label: value for label, value in rows.items() if value}


def describe_camera(camera: CameraCtrl) -> dict[str, str]:
    """What `inspect` says of CameraCtrl."""
    spec, parameters = camera.spec, list(camera.parameters())
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in parameters)
    return {
        "family": spec.family,
        "base model": spec.base_model.value if spec.base_model else "",
        "dtype": ", ".join(dtypes),
        "parameters": f"{sum(tensor.numel() for tensor in parameters):,}",
        "widths": ", ".join(map(str, spec.widths)),
        "context length": f"at most {spec.num_positions}",
        "advice": f"a camera model: it wants a motion module beside it, {spec.made_for}, and a camera motion",
    }


def describe_lora(lora: MotionLora) -> dict[str, str]:
    """What `inspect` says of a LoRA."""
    layers = (*lora.temporal.values(), *lora.spatial.values())
    ranks = sorted({delta.rank for delta in layers})
    return {
        "kind": lora.kind,
        "rank": ", ".join(map(str, ranks)),
        "layers of the motion module": str(len(lora.temporal)),
        "layers of the image model": str(len(lora.spatial)),
    }


def inspect(path: Path) -> str:
    """What a file is, in lines; MotionModuleError where it is nothing that clips are animated with."""
    weights = read_weights(path)
    if detect_kind(weights.tensors) is CAMERACTRL:
        rows = describe_camera(build_camera_ctrl(weights.tensors, path.stem))
    elif lora := detect_motion_lora(weights.tensors, path.stem):
        rows = describe_lora(lora)
    else:
        family = weights.notes.get(FAMILY_NOTE, "")
        module = build_motion_module(weights.tensors, path.stem, family=family)
        naming = find_official_names(weights.tensors).naming
        rows = describe_module(module, naming.name if naming else "")
    width = max(map(len, rows))
    return "\n".join([path.name, *(f"  {label:<{width}}  {value}" for label, value in rows.items())])


def convert(path: Path, to: str, dtype: str | None, output: Path | None) -> Path:
    """Write the motion module of a file under other names, and return where; nothing is overwritten."""
    module = load_motion_module(path, dtype=DTYPES[dtype] if dtype else None)
    target = output or path.with_name("_".join(filter(None, (path.stem, to, dtype))) + ".safetensors")
    if os.path.lexists(target):
        raise MotionModuleError(
            f"{shorten(target)} exists already: remove it, or name another file with --output."
        )
    write_motion_module(module, target, naming=NAMINGS[to])
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 2 where the file is not what was asked for, or the answer cannot be written."""
    given = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args([_as_path(argument) for argument in given])
    try:
        if options.command == "inspect":
            _say(inspect(options.file))
        else:
            _say(str(convert(options.file, options.to, options.dtype, options.output)))
    except MotionModuleError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options of both commands."""
    parser = argparse.ArgumentParser(prog="python -m motion_module", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    inspecting = commands.add_parser("inspect", help="say what a file is and what it wants")
    converting = commands.add_parser("convert", help="write a motion module as safetensors")
    for command in (inspecting, converting):
        command.add_argument("file", type=Path)
    converting.add_argument("--to", choices=NAMINGS, default="official", help="whose names (official)")
    converting.add_argument("--dtype", choices=DTYPES, help="of the weights (the file's own)")
    converting.add_argument("--output", type=Path, help="the file to write (beside the given one)")
    return parser


def _as_path(argument: str) -> str:
    """The name of a file that starts with a dash, so that it is not read as an option."""
    is_file = argument.startswith("-") and os.path.isfile(argument)
    return os.path.join(os.curdir, argument) if is_file else argument


def _say(answer: str) -> None:
    """Print the answer; MotionModuleError where that cannot be, but nothing where nobody reads it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(answer.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except OSError as error:
        # What is still to be written would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise MotionModuleError(f"The answer cannot be written: {error.strerror}.") from error


if __name__ == "__main__":
    sys.exit(main())
