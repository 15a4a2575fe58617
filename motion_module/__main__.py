"""`python -m motion_module`: what a file is, and the same file under other names or in another dtype."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from motion_module.checkpoints import read_checkpoint
from motion_module.errors import MotionModuleError
from motion_module.loading import FAMILY_NOTE, build_motion_module, load_motion_module
from motion_module.lora import MotionLora, detect_motion_lora
from motion_module.module import MotionModule
from motion_module.names import DIFFUSERS, OFFICIAL, to_official
from motion_module.writing import write_motion_module

NAMINGS = {"official": OFFICIAL, "diffusers": DIFFUSERS}
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def describe_module(module: MotionModule, naming: str) -> dict[str, str]:
    """What `inspect` says of a motion module."""
    spec = module.spec
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in module.parameters())
    rows = {
        "family": spec.family,
        "base model": spec.base_model.value,
        "names": naming,
        "dtype": ", ".join(dtypes),
        "parameters": f"{sum(tensor.numel() for tensor in module.parameters()):,}",
        "layers": f"{len(module.layers())}, {'with' if spec.has_mid_block else 'without'} the mid block",
        "widths": ", ".join(map(str, spec.widths)),
        "trained frames": str(spec.trained_frames),
        "context length": f"{spec.trained_frames}, at most {spec.context_limit}",
        "beta schedule": spec.beta_schedule.value,
        "GroupNorm across frames": "yes" if spec.video_group_norm else "no",
        "advice": spec.advice,
    }
    return {label: value for label, value in rows.items() if value}


def describe_lora(lora: MotionLora) -> dict[str, str]:
    """What `inspect` says of a LoRA."""
    ranks = sorted({delta.rank for delta in (*lora.temporal.values(), *lora.spatial.values())})
    return {
        "kind": lora.kind,
        "rank": ", ".join(map(str, ranks)),
        "layers of the motion module": str(len(lora.temporal)),
        "layers of the image model": str(len(lora.spatial)),
    }


def inspect(path: Path) -> None:
    """Print what a file is; MotionModuleError where it is neither a motion module nor a LoRA."""
    checkpoint = read_checkpoint(path)
    if lora := detect_motion_lora(checkpoint.tensors, path.stem):
        rows = describe_lora(lora)
    else:
        family = checkpoint.metadata.get(FAMILY_NOTE, "")
        module = build_motion_module(checkpoint.tensors, path.stem, family=family)
        naming = to_official(checkpoint.tensors).naming
        rows = describe_module(module, naming.name if naming else "")
    width = max(map(len, rows))
    print(path.name)
    for label, value in rows.items():
        print(f"  {label:<{width}}  {value}")


def convert(path: Path, to: str, dtype: str | None, output: Path | None) -> Path:
    """Write the motion module of a file under other names, and return where; nothing is overwritten."""
    module = load_motion_module(path, dtype=DTYPES[dtype] if dtype else None)
    target = output or path.with_name("_".join(filter(None, (path.stem, to, dtype))) + ".safetensors")
    if target.exists():
        raise MotionModuleError(f"{target} exists already: remove it, or name another file with --output.")
    write_motion_module(module, target, naming=NAMINGS[to])
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 2 where the file is not what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m motion_module", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    inspecting = commands.add_parser("inspect", help="say what a file is and what it wants")
    converting = commands.add_parser("convert", help="write a motion module as safetensors")
    for command in (inspecting, converting):
        command.add_argument("file", type=Path)
    converting.add_argument("--to", choices=NAMINGS, default="official", help="whose names (official)")
    converting.add_argument("--dtype", choices=DTYPES, help="of the weights (the file's own)")
    converting.add_argument("--output", type=Path, help="the file to write (beside the given one)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "inspect":
            inspect(options.file)
        else:
            print(convert(options.file, options.to, options.dtype, options.output))
    except MotionModuleError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
