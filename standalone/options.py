"""The command line's options: the animation's from the field table, the picture's by the WebUI's names.

argparse, because it is maintained with Python itself, groups options as the table does, and exits with 2 for
the user's errors by itself; another library would add a dependency to read a table that is already there.
"""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.fields import Field, Kind
from animatediff_webui.core.parameters import FIELDS
from animatediff_webui.hosts.diffusers.samplers import DEFAULT_SAMPLER, SAMPLERS, SPACINGS
from demo_model.files import IMAGE_DEFAULTS

COMMANDS = ("generate", "plan", "evaluate")
BETA_CHOICES = ("auto", "checkpoint", "linear", "scaled-linear", "sdxl")
_ELSEWHERE = {"enable", "model"}
_EXAMPLES = """examples:
  python3 standalone "a red circle moving right on a blue background"
  python3 standalone "a red circle" --video-length 48 --closed-loop Seamless --format GIF,WEBM
  python3 standalone "$(printf '0: a red circle\\n8: a blue circle')" --seed 1
  python3 standalone "a lake, <lora:pan_left:0.8>" --checkpoint sd15.safetensors --model mm_v3.safetensors
  python3 standalone plan "a red circle" --video-length 64
  python3 standalone evaluate
A prompt of "-" is read from standard input."""


def read_command(arguments: list[str]) -> tuple[str, list[str]]:
    """The sub-command and what follows it; generate where the first word is none."""
    if arguments and arguments[0] in COMMANDS:
        return arguments[0], arguments[1:]
    return "generate", arguments


def build_parser(command: str) -> ArgumentParser:
    """The options of `generate` and `plan`, which are the same."""
    parser = ArgumentParser(
        prog="python3 standalone" + ("" if command == "generate" else f" {command}"),
        usage='python3 standalone [generate|plan|evaluate] "PROMPT" [options]',
        description="Draw a moving picture from a prompt, with the embedded model or any SD1.5 or SDXL one.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("prompt", metavar="PROMPT", help='what to draw; lines such as "8: a circle" travel')
    _add_picture(parser)
    _add_model(parser)
    _add_animation(parser)
    _add_run(parser)
    return parser


def read_prompt(text: str) -> str:
    """The prompt, from standard input where it is "-"."""
    prompt = sys.stdin.read() if text == "-" else text
    if not prompt.strip():
        raise UserError('The prompt is empty: say what to draw, such as "a red circle moving right".')
    return prompt.strip("\n")


def animation_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said about the animation, by API name; the values are checked by the field table."""
    said = {field.name: getattr(arguments, field.name) for field in FIELDS if field.name not in _ELSEWHERE}
    return {
        field.name: field.read_text(value) if isinstance(value, str) else value
        for field in FIELDS
        if (value := said.get(field.name)) is not None
    }


def _add_picture(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("Picture")
    add = group.add_argument
    add("--negative-prompt", default="", metavar="TEXT", help="what not to draw; may travel too")
    add("--steps", type=int, metavar="N",
        help=f"sampling steps (default: {IMAGE_DEFAULTS['steps']}; for other checkpoints 20)")  # fmt: skip
    add("--cfg-scale", type=float, metavar="X", help="how strictly to follow the prompt "
        f"(default: {IMAGE_DEFAULTS['cfg_scale']}; for other checkpoints 7)")  # fmt: skip
    add("--sampler-name", default=DEFAULT_SAMPLER, metavar="NAME", help=f"{', '.join(SAMPLERS)}; a noise "
        'schedule may follow, as in "DPM++ 2M Karras" (default: %(default)s)')  # fmt: skip
    add("--scheduler", default="Automatic", metavar="NAME", help=f"noise schedule: {', '.join(SPACINGS)}")
    add("--seed", type=int, default=-1, metavar="N", help="the same seed gives the same clip; -1: a new one")
    add("--width", type=int, metavar="PX", help="default: the checkpoint's own")
    add("--height", type=int, metavar="PX", help="default: the checkpoint's own")
    add("--clip-skip", type=int, default=1, metavar="N", help="1: the text encoder's last layer (default)")


def _add_model(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("Model")
    add = group.add_argument
    add("--checkpoint", metavar="PATH", help="a .safetensors file or diffusers folder, SD1.5 or SDXL "
        "(default: the embedded model)")  # fmt: skip
    add("--model", metavar="FILE", help="the motion module's file, or none for pictures that do not move "
        "(default: the embedded model's; for other checkpoints, the first one in model/)")  # fmt: skip
    add("--vae", metavar="PATH", help="another VAE: a .safetensors file or diffusers folder")
    add(
        "--lora",
        "--motion-lora",
        dest="lora",
        action="append",
        default=[],
        metavar="FILE[:STRENGTH]",
        help="a LoRA or motion LoRA, any number of times; <lora:NAME:STRENGTH> in a prompt does the same",
    )
    add("--lora-dir", type=Path, action="append", default=[], metavar="DIR", help="where names of LoRAs in "
        "prompts are looked up")  # fmt: skip
    add("--beta-schedule", choices=BETA_CHOICES, default="auto", metavar="NAME",
        help=f"{', '.join(BETA_CHOICES)}; auto is what the motion module was trained with")  # fmt: skip
    add("--freeu", type=float, nargs=4, metavar=("S1", "S2", "B1", "B2"), help="FreeU with these scales; "
        "0.9 0.2 1.5 1.6 suits SD1.5")  # fmt: skip
    add("--device", default="auto", metavar="NAME", help="auto, cuda, cuda:1, mps or cpu")
    add("--dtype", default="auto", metavar="NAME", help="auto, float32, float16 or bfloat16")
    add("--offload", choices=("none", "model", "sequential"), default="none", metavar="HOW",
        help="keep resting models off the GPU: none, model, sequential (least memory, slowest)")  # fmt: skip
    add("--vae-tiling", action="store_true", help="decode large frames in tiles, with less memory")
    add("--vae-slicing", action="store_true", help="for completeness: frames are decoded one by one anyway")


def _add_animation(parser: ArgumentParser) -> None:
    groups: dict[str, Any] = {}
    for field in FIELDS:
        if field.name in _ELSEWHERE:
            continue
        if field.group not in groups:
            groups[field.group] = parser.add_argument_group(field.group)
        group = groups[field.group]
        options = _option_names(field)
        if field.kind is Kind.BOOL:
            how: dict[str, Any] = {"action": BooleanOptionalAction, "default": None}
        else:
            how = {"metavar": _metavar(field)}
        group.add_argument(*options, dest=field.name, help=_help(field), **how)


def _add_run(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("Run")
    add = group.add_argument
    add("--output", type=Path, default=Path("outputs"), metavar="DIR", help="default: outputs")
    add("--preview-every", type=int, default=5, metavar="N", help="while sampling, show the clip as it is in "
        "preview.gif beside the output, every N steps; 0: never (default: %(default)s)")  # fmt: skip
    add("--quiet", action="store_true", help="no progress bar; print the files only")
    add("--verbose", action="store_true", help="show where errors come from, and libraries' messages")


def _option_names(field: Field) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name in (field.name, *field.aliases)]


def _metavar(field: Field) -> str:
    words = {Kind.INTEGER: "N", Kind.NUMBER: "X", Kind.PATH: "PATH", Kind.IMAGE: "FILE", Kind.CHOICE: "NAME"}
    return words.get(field.kind, "LIST" if field.kind is Kind.CHOICES else "TEXT")


def _help(field: Field) -> str:
    """The table's help with choices and default; argparse reads % as a sign of its own."""
    choices = f" ({', '.join(map(str, field.choices))})" if field.choices else ""
    default = "GIF, MP4" if field.name == "format" else field.default
    if isinstance(default, tuple):
        default = ", ".join(map(str, default))
    shown = "" if default in (None, "", ()) or field.kind is Kind.BOOL else f" (default: {default})"
    return f"{field.full_help}{choices}{shown}".replace("%", "%%")
