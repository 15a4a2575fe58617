"""The layout of a file's motion module, by its keys and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from motion_module.errors import BrokenMotionModuleError, shorten
from motion_module.families import PIA_CHANNELS, Family, Traits, find_family
from motion_module.names import Naming, find_official_names
from motion_module.spec import NORM_GROUPS, BaseModel, MotionModuleSpec

Shapes = Mapping[str, tuple[int, ...]]

NUM_HEADS = 8
"""Of every published module; shapes do not tell."""
LEVEL = re.compile(r"(?:down|up)_blocks\.(\d+)\..+")
LAYER = re.compile(r"down_blocks\.0\.motion_modules\.(\d+)\..+")
TRANSFORMER_BLOCK = re.compile(r".+\.transformer_blocks\.(\d+)\..+")
ATTENTION_BLOCK = re.compile(r".+\.attention_blocks\.(\d+)\..+")


def detect_spec(shapes: Shapes, name: str, family: str = "") -> MotionModuleSpec | None:
    """The spec of the motion module with these keys and shapes, None where there is nothing of one.

    name: the file's, without its ending. family: what its header says. BrokenMotionModuleError where the
    weights are incomplete.
    """
    names = find_official_names(shapes)
    if names.naming is None:
        return None
    official = {key: shapes[source] for key, source in names.sources.items()}
    conv_in = shapes.get(names.conv_in.get("conv_in.weight", ""), ())
    layout = _read_layout(official, shorten(name))
    layout = replace(
        layout,
        conv_in_channels=PIA_CHANNELS if conv_in[1:2] == (PIA_CHANNELS,) else 0,
        has_picture_encoder=bool(names.picture_encoder),
    )
    traits = _read_traits(layout, names.naming, name)
    row = find_family(traits, family)
    if row is None:
        raise BrokenMotionModuleError(
            f"{shorten(name)} has {traits.base_model.value}'s layers under {names.naming.name} names, but no "
            f"position encoding {_first_attention(official)}.pos_encoder.pe: get the complete file."
        )
    return _add_wishes(layout, row)


def _read_traits(layout: MotionModuleSpec, naming: Naming, name: str) -> Traits:
    return Traits(
        layout.base_model,
        naming,
        layout.has_mid_block,
        layout.max_context_length if layout.stored_positions else None,
        layout.conv_in_channels,
        layout.has_picture_encoder,
        name,
    )


def _add_wishes(layout: MotionModuleSpec, row: Family) -> MotionModuleSpec:
    """The spec of a layout that belongs to a family."""
    return replace(
        layout,
        family=row.name,
        max_context_length=layout.max_context_length or row.computed_positions,
        context_length=row.context_length,
        stored_positions=row.stores_positions is not False,
        video_group_norm=row.video_group_norm,
        beta_schedule=row.beta_schedule,
        advice=row.advice,
    )


def _read_layout(shapes: Shapes, name: str) -> MotionModuleSpec:
    """The network's layout, without what its family wants; no frames where no encodings are stored."""
    base_model = _read_base_model(shapes, name)
    num_positions = _read_num_positions(shapes, name)
    return MotionModuleSpec(
        family="",
        base_model=base_model,
        widths=tuple(_read_width(shapes, level, name) for level in range(base_model.num_levels)),
        layers_per_block=_count(LAYER, shapes, name),
        has_mid_block=any(key.startswith("mid_block.") for key in shapes),
        num_heads=NUM_HEADS,
        num_transformer_blocks=_count(TRANSFORMER_BLOCK, shapes, name),
        num_attention_blocks=_count(ATTENTION_BLOCK, shapes, name),
        max_context_length=num_positions or 0,
        stored_positions=num_positions is not None,
    )


def _read_base_model(shapes: Shapes, name: str) -> BaseModel:
    num_levels = _count(LEVEL, shapes, name)
    base_model = BaseModel.of_levels(num_levels)
    if base_model is None:
        raise BrokenMotionModuleError(
            f"{name} has layers for {num_levels} levels, but SD1.5 has 4, and SDXL 3: get the complete file."
        )
    return base_model


def _read_width(shapes: Shapes, level: int, name: str) -> int:
    """Channels of a down level; BrokenMotionModuleError where the network cannot have them."""
    key = f"down_blocks.{level}.motion_modules.0.temporal_transformer.norm.weight"
    if key not in shapes:
        raise BrokenMotionModuleError(f"{name} lacks {key}: get the complete file.")
    shape = shapes[key]
    if len(shape) != 1 or shape[0] == 0 or shape[0] % NORM_GROUPS:
        raise BrokenMotionModuleError(
            f"{key} of {name} has the shape {shape}, where a multiple of {NORM_GROUPS} was expected: get the "
            "complete file."
        )
    return shape[0]


def _read_num_positions(shapes: Shapes, name: str) -> int | None:
    """Of the first stored encoding, (1 f c); None where none is stored."""
    key = next((key for key in shapes if key.endswith(".pos_encoder.pe")), None)
    if key is None:
        return None
    shape = shapes[key]
    if len(shape) != 3 or shape[1] == 0:
        raise BrokenMotionModuleError(
            f"{key} of {name} has the shape {shape}, where (1, frames, channels) was expected: get the "
            "complete file."
        )
    return shape[1]


def _count(numbered: re.Pattern[str], keys: Shapes, name: str) -> int:
    """How many there are of what the pattern numbers; BrokenMotionModuleError where a number is left out."""
    matches = (numbered.fullmatch(key) for key in keys)
    numbers = {int(match[1]): match[0] for match in matches if match}
    for expected, number in enumerate(sorted(numbers)):
        if expected != number:
            raise BrokenMotionModuleError(
                f"{name} has {shorten(numbers[number])}, but nothing with the number {expected} in its "
                "place: get the complete file."
            )
    return len(numbers) or 1


def _first_attention(shapes: Shapes) -> str:
    for key in shapes:
        if key.endswith(".to_q.weight"):
            return key.removesuffix(".to_q.weight")
    return "attention_blocks.0"
