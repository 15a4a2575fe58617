"""Which published family a file belongs to, by its keys and shapes; and what that family wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from motion_module.errors import BrokenMotionModuleError
from motion_module.names import DIFFUSERS, HOTSHOT, OFFICIAL, Naming, OfficialKeys
from motion_module.network import NORM_GROUPS
from motion_module.schedules import BetaSchedule
from motion_module.spec import BaseModel, MotionModuleSpec

NUM_HEADS = 8
"""Of every published module; shapes do not tell."""
PIA_CHANNELS = 9
"""Latent, mask and condition frame, 4 + 1 + 4."""


@dataclass(frozen=True)
class Traits:
    """What tells families apart. num_positions: of the stored encodings, None without any."""

    base_model: BaseModel
    naming: Naming
    has_mid_block: bool
    num_positions: int | None
    conv_in_channels: int
    file_name: str


@dataclass(frozen=True)
class Family:
    """A row of the registry: what tells the family (None: anything), then what it wants."""

    name: str
    base_model: BaseModel | None = None
    naming: Naming | None = None
    has_mid_block: bool | None = None
    num_positions: int | None = None
    stores_positions: bool | None = None
    conv_in_channels: int | None = None
    file_name: str = ""
    computed_positions: int = 32
    trained_frames: int = 16
    video_group_norm: bool = False
    beta_schedule: BetaSchedule = BetaSchedule.LINEAR
    advice: str = ""

    def has(self, traits: Traits) -> bool:
        """Whether a file with these traits belongs to the family."""
        wanted = (
            (self.base_model, traits.base_model),
            (self.naming, traits.naming),
            (self.has_mid_block, traits.has_mid_block),
            (self.num_positions, traits.num_positions),
            (self.stores_positions, traits.num_positions is not None),
            (self.conv_in_channels, traits.conv_in_channels),
        )
        named = re.fullmatch(self.file_name, traits.file_name, re.IGNORECASE) if self.file_name else True
        return bool(named) and all(own is None or own == found for own, found in wanted)


HOTSHOT_XL = Family(
    "HotShot-XL",
    BaseModel.SDXL,
    HOTSHOT,
    stores_positions=True,
    trained_frames=8,
    video_group_norm=True,
    beta_schedule=BetaSchedule.SCALED_LINEAR,
    advice="8 frames at once, pictures of about 512 x 512",
)
FAMILIES = (
    Family(
        "AnimateDiff-Lightning",
        BaseModel.SD15,
        has_mid_block=True,
        file_name=r"animatediff_lightning_\d+step.*",
        advice="sampler Euler, schedule SGM Uniform, CFG scale 1, and the steps the file name says",
    ),
    Family("PIA", BaseModel.SD15, conv_in_channels=PIA_CHANNELS),
    Family(
        "AnimateLCM",
        BaseModel.SD15,
        OFFICIAL,
        has_mid_block=True,
        stores_positions=False,
        computed_positions=64,
        advice="sampler LCM, CFG scale 1 to 2, with AnimateLCM's own LoRA",
    ),
    Family("AnimateDiff v1", BaseModel.SD15, OFFICIAL, False, num_positions=24, video_group_norm=True),
    Family("AnimateDiff v2", BaseModel.SD15, OFFICIAL, True, stores_positions=True),
    Family("AnimateDiff v3", BaseModel.SD15, OFFICIAL, False, stores_positions=True),
    HOTSHOT_XL,
    # As the WebUI's users have it: under official names.
    replace(HOTSHOT_XL, naming=OFFICIAL, num_positions=24),
    Family(
        "AnimateDiff-SDXL",
        BaseModel.SDXL,
        OFFICIAL,
        stores_positions=True,
        beta_schedule=BetaSchedule.SCALED_LINEAR_SDXL,
    ),
    # Newer diffusers versions store the encodings too: such a MotionAdapter looks and runs as HelloMeme's.
    Family("HelloMeme", BaseModel.SD15, DIFFUSERS, stores_positions=True),
    Family("diffusers MotionAdapter", naming=DIFFUSERS),
)
"""The first that fits counts, so that what is told by more stands before what is told by less."""


SPARSECTRL = MotionModuleSpec(family="SparseCtrl", has_up_blocks=False, num_attention_blocks=1)
"""The temporal layers of a SparseCtrl encoder, for the ControlNet extension that runs it."""


def detect_spec(keys: OfficialKeys, name: str, family: str = "") -> MotionModuleSpec | None:
    """The spec of a file's weights, None where it has none of a motion module.

    name: the file's, without its ending. family: what its header says. BrokenMotionModuleError where the
    weights are incomplete.
    """
    if keys.naming is None:
        return None
    shapes = {key: tuple(tensor.shape) for key, tensor in keys.tensors.items()}
    layout = _read_layout(shapes, name)
    conv_in = keys.conv_in.get("conv_in.weight")
    traits = Traits(
        layout.base_model,
        keys.naming,
        layout.has_mid_block,
        layout.max_frames if layout.stored_positions else None,
        PIA_CHANNELS if conv_in is not None and conv_in.shape[1:2] == (PIA_CHANNELS,) else 0,
        name,
    )
    row = find_family(traits, family)
    if row is None:
        raise BrokenMotionModuleError(
            f"{name} has {traits.base_model.value}'s layers under {keys.naming.name} names, but no position "
            f"encoding {_first_attention(shapes)}.pos_encoder.pe: get the complete file."
        )
    return replace(
        layout,
        family=row.name,
        max_frames=layout.max_frames or row.computed_positions,
        trained_frames=row.trained_frames,
        stored_positions=row.stores_positions is not False,
        conv_in_channels=traits.conv_in_channels,
        video_group_norm=row.video_group_norm,
        beta_schedule=row.beta_schedule,
        advice=row.advice,
    )


def find_family(traits: Traits, family: str = "") -> Family | None:
    """The row that a file with these traits belongs to; the one it says itself, where that is possible."""
    stated = (row for row in FAMILIES if row.name == family and row.base_model in (None, traits.base_model))
    return next(stated, None) or next((row for row in FAMILIES if row.has(traits)), None)


def _read_layout(shapes: Mapping[str, tuple[int, ...]], name: str) -> MotionModuleSpec:
    """The network's layout, without what its family wants; no frames where no encodings are stored."""
    widths = _read_widths(shapes, name)
    encodings = [
        shape for key, shape in shapes.items() if key.endswith(".pos_encoder.pe") and len(shape) == 3
    ]
    return MotionModuleSpec(
        family="",
        base_model=BaseModel.SD15 if len(widths) == BaseModel.SD15.num_levels else BaseModel.SDXL,
        widths=widths,
        layers_per_block=_count(shapes, r"down_blocks\.0\.motion_modules\.(\d+)\..+"),
        has_mid_block=any(key.startswith("mid_block.") for key in shapes),
        num_heads=NUM_HEADS,
        num_transformer_blocks=_count(shapes, r".+\.transformer_blocks\.(\d+)\..+"),
        num_attention_blocks=_count(shapes, r".+\.attention_blocks\.(\d+)\..+"),
        max_frames=encodings[0][1] if encodings else 0,
        stored_positions=bool(encodings),
    )


def _count(keys: Mapping[str, object], pattern: str) -> int:
    """How many there are of what the pattern's group numbers."""
    return 1 + max((int(match[1]) for key in keys if (match := re.fullmatch(pattern, key))), default=0)


def _read_widths(shapes: Mapping[str, tuple[int, ...]], name: str) -> tuple[int, ...]:
    """Channels of the down levels; BrokenMotionModuleError where the network cannot have them."""
    num_levels = _count(shapes, r"(?:down|up)_blocks\.(\d+)\..+")
    if num_levels not in [base_model.num_levels for base_model in BaseModel]:
        raise BrokenMotionModuleError(
            f"{name} has layers for {num_levels} levels, but SD1.5 has 4, and SDXL 3: get the complete file."
        )
    keys = [
        f"down_blocks.{level}.motion_modules.0.temporal_transformer.norm.weight"
        for level in range(num_levels)
    ]
    for key in keys:
        if key not in shapes:
            raise BrokenMotionModuleError(f"{name} lacks {key}: get the complete file.")
        if len(shapes[key]) != 1 or shapes[key][0] % NORM_GROUPS:
            raise BrokenMotionModuleError(
                f"{key} of {name} has the shape {shapes[key]}, where a multiple of {NORM_GROUPS} was "
                "expected: get the complete file."
            )
    return tuple(shapes[key][0] for key in keys)


def _first_attention(shapes: Mapping[str, object]) -> str:
    return next(
        (key.rpartition(".to_q")[0] for key in shapes if key.endswith(".to_q.weight")), "attention_blocks.0"
    )
