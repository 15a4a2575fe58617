"""The command line's options: rows of the tables of animation, picture and models, and a few more.

argparse, because it is maintained with Python itself, groups options as the tables do, and exits with 2 for
the user's errors by itself; another library would add a dependency to read tables that are already there.
"""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.fields import Field, Kind
from animatediff_webui.core.parameters import FIELDS
from animatediff_webui.hosts.diffusers.beta_schedules import BETA_SCHEDULE
from animatediff_webui.hosts.diffusers.image_settings import IMAGE_FIELDS
from animatediff_webui.hosts.diffusers.model_options import MODEL_FIELDS
from animatediff_webui.hosts.diffusers.settings import DEFAULT_FORMATS, ELSEWHERE
from demo_model.files import IMAGE_DEFAULTS

from .guide_options import GUIDE_GROUP, GUIDE_OPTIONS

COMMANDS = ("generate", "plan", "evaluate")
ANIMATION_FIELDS = tuple(field for field in FIELDS if field.name not in ELSEWHERE)
_EXAMPLES = """examples:
  python3 standalone "a red circle moving right on a blue background"
  python3 standalone "a red circle" --video-length 48 --closed-loop Seamless --format GIF,WEBM
  python3 standalone "$(printf '0: a red circle\\n8: a blue circle')" --seed 1
  python3 standalone "a lake, <lora:pan_left:0.8>" --checkpoint sd15.safetensors --model mm_v3.safetensors
  python3 standalone plan "a red circle" --video-length 64
  python3 standalone evaluate
A prompt of "-" is read from standard input."""
_METAVARS = {
    Kind.INTEGER: "N", Kind.NUMBER: "X", Kind.PATH: "PATH", Kind.IMAGE: "FILE", Kind.CHOICE: "NAME",
    Kind.CHOICES: "LIST", Kind.MOMENT: "FRAME|TIME",
}  # fmt: skip
_FREEU_SCALES = ("S1", "S2", "B1", "B2")

# What is in no table: the options' names, and what argparse is told of them.
_MODEL_OPTIONS: Mapping[tuple[str, ...], Mapping[str, object]] = {
    ("--lora", "--motion-lora"): {
        "action": "append", "default": [], "metavar": "FILE[:STRENGTH]",
        "help": "A LoRA or motion LoRA, any number of times; <lora:NAME:STRENGTH> in a prompt does the same.",
    },
    ("--lora-dir",): {
        "action": "append", "default": [], "type": Path, "metavar": "DIR",
        "help": "Where names of LoRAs in prompts are looked up.",
    },
    ("--freeu",): {
        "nargs": len(_FREEU_SCALES), "type": float, "metavar": _FREEU_SCALES,
        "help": "FreeU with these scales; 0.9 0.2 1.5 1.6 suits SD1.5.",
    },
}  # fmt: skip
_RUN_OPTIONS: Mapping[tuple[str, ...], Mapping[str, object]] = {
    ("--output",): {"default": "outputs", "metavar": "DIR", "help": "Where files go (default: %(default)s)"},
    ("--preview-every",): {
        "type": int, "default": 5, "metavar": "N",
        "help": "While sampling, show the clip as it is in preview.gif beside the output, every N steps. "
        "0: never (default: %(default)s)",
    },
    ("--quiet",): {"action": "store_true", "help": "No progress bar; print the files only."},
    ("--verbose",): {"action": "store_true", "help": "Show where errors come from, and libraries' messages."},
}  # fmt: skip


class _Parser(ArgumentParser):
    """Says how a prompt that looks like an option is given."""

    def error(self, message: str) -> NoReturn:
        super().error(f"{message} (a prompt that begins with - goes behind everything else, after --)")


def read_command(arguments: list[str]) -> tuple[str, list[str]]:
    """The sub-command and what follows it; generate where the first word is none."""
    if arguments and arguments[0] in COMMANDS:
        return arguments[0], arguments[1:]
    return "generate", arguments


def build_parser(command: str) -> ArgumentParser:
    """The options of `generate` and `plan`, which are the same."""
    parser = _Parser(
        prog="python3 standalone" + ("" if command == "generate" else f" {command}"),
        usage='python3 standalone [generate|plan|evaluate] "PROMPT" [options]',
        description="Draw a moving picture from a prompt, with the embedded model or any SD1.5 or SDXL one.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("prompt", metavar="PROMPT", help='What to draw; lines such as "8: a circle" travel.')
    groups = _Groups(parser)
    groups.add_fields((*IMAGE_FIELDS, *MODEL_FIELDS, BETA_SCHEDULE))
    groups.add_options(BETA_SCHEDULE.group, _MODEL_OPTIONS)
    groups.add_options(GUIDE_GROUP, GUIDE_OPTIONS)
    groups.add_fields(ANIMATION_FIELDS)
    groups.add_options("Run", _RUN_OPTIONS)
    return parser


def read_prompt(text: str) -> str:
    """The prompt, from standard input where it is "-"."""
    if text != "-":
        return text.strip("\n")
    if sys.stdin is None:
        raise UserError("The prompt is to be read from standard input, which is closed: give it in quotes.")
    try:
        return sys.stdin.read().strip("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"Standard input is no text in {sys.stdin.encoding}: send it as UTF-8.") from error


def said_values(options: Namespace, fields: Iterable[Field]) -> dict[str, object]:
    """What was said of these fields, by name. Raises ParameterError."""
    given = {field: getattr(options, field.name) for field in fields}
    return {
        field.name: _read_said(field, value) if isinstance(value, str) else value
        for field, value in given.items()
        if value is not None
    }


def _read_said(field: Field, text: str) -> object:
    """What was said of a field; of a picture, the file's name, which Python callers may say, too."""
    return text if field.kind is Kind.IMAGE else field.read_text(text)


class _Groups:
    """The parser's groups of options, made as they are needed."""

    def __init__(self, parser: ArgumentParser) -> None:
        self._parser = parser
        self._groups: dict[str, argparse._ArgumentGroup] = {}

    def add_fields(self, fields: Iterable[Field]) -> None:
        for field in fields:
            names = [f"--{name.replace('_', '-')}" for name in (field.name, *field.aliases)]
            group, words = self._group(field.group), _help(field)
            if field.kind is Kind.BOOL:
                group.add_argument(
                    *names, dest=field.name, help=words, action=BooleanOptionalAction, default=None
                )
            else:
                metavar = _METAVARS.get(field.kind, "TEXT")
                group.add_argument(*names, dest=field.name, help=words, metavar=metavar)

    def add_options(self, name: str, options: Mapping[tuple[str, ...], Mapping[str, object]]) -> None:
        for names, keywords in options.items():
            self._group(name).add_argument(*names, **keywords)  # pyright: ignore[reportArgumentType]

    def _group(self, name: str) -> argparse._ArgumentGroup:
        if name not in self._groups:
            self._groups[name] = self._parser.add_argument_group(name)
        return self._groups[name]


def _help(field: Field) -> str:
    """The table's help with choices and default; argparse reads % as a sign of its own."""
    choices = f" ({', '.join(map(str, field.choices))})" if field.choices else ""
    default = _default(field)
    return f"{field.full_help}{choices}{f' (default: {default})' if default else ''}".replace("%", "%%")


def _default(field: Field) -> str:
    """The default in words, nothing where the help says it."""
    if field.kind is Kind.BOOL or field.default in (None, "", ()):
        return ""
    default = DEFAULT_FORMATS if field.name == "format" else field.default
    words = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    embedded = IMAGE_DEFAULTS.get(field.name)
    return words if embedded is None else f"{embedded}; for other checkpoints {words}"
