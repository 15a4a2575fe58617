"""The published families of motion modules: what tells each, and what it wants."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from motion_module.names import DIFFUSERS, HOTSHOT, OFFICIAL, Naming
from motion_module.schedules import BetaSchedule
from motion_module.spec import BaseModel

FAMILY_NOTE = "motion_module.family"
"""Where the header of a file that this package writes says its family: not every naming shows it."""
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
    has_picture_encoder: bool
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
    has_picture_encoder: bool | None = None
    file_name: str = ""
    computed_positions: int = 32
    context_length: int = 16
    video_group_norm: bool = False
    beta_schedule: BetaSchedule = BetaSchedule.LINEAR
    advice: str = ""

    def has(self, traits: Traits) -> bool:
        """Whether a file with these traits belongs to the family."""
        compared = (
            (self.base_model, traits.base_model),
            (self.naming, traits.naming),
            (self.has_mid_block, traits.has_mid_block),
            (self.num_positions, traits.num_positions),
            (self.stores_positions, traits.num_positions is not None),
            (self.conv_in_channels, traits.conv_in_channels),
            (self.has_picture_encoder, traits.has_picture_encoder),
        )
        if self.file_name and not re.fullmatch(self.file_name, traits.file_name, re.IGNORECASE):
            return False
        return all(wanted is None or wanted == trait for wanted, trait in compared)


HOTSHOT_XL = Family(
    "HotShot-XL",
    BaseModel.SDXL,
    HOTSHOT,
    stores_positions=True,
    context_length=8,
    video_group_norm=True,
    beta_schedule=BetaSchedule.SCALED_LINEAR,
    advice="8 frames at once, pictures of about 512 x 512",
)
NEEDS_PICTURE = "a picture to animate: the motion picture, or img2img's"
LCM_SAMPLING = "sampler LCM, CFG scale 1 to 2, with AnimateLCM's own LoRA"
LONG_MOTION_SCALE = "motion scale 1.15"
LONG_ANIMATEDIFF = Family(
    "LongAnimateDiff",
    BaseModel.SD15,
    OFFICIAL,
    num_positions=64,
    context_length=64,
    advice=f"16 to 64 frames at once, {LONG_MOTION_SCALE}",
)
FAMILIES = (
    Family(
        "AnimateDiff-Lightning",
        BaseModel.SD15,
        has_mid_block=True,
        file_name=r"animatediff_lightning_\d+step.*",
        advice="sampler Euler, schedule SGM Uniform, CFG scale 1, and the steps the file name says",
    ),
    replace(
        LONG_ANIMATEDIFF,
        name="LongAnimateDiff (32 frames)",
        num_positions=None,
        stores_positions=True,
        file_name=r"lt_long_mm_32_frames.*",  # its table of positions is as long as its sister's
        context_length=32,
        advice=LONG_MOTION_SCALE,
    ),
    LONG_ANIMATEDIFF,
    Family(
        "PIA",
        BaseModel.SD15,
        conv_in_channels=PIA_CHANNELS,
        advice=NEEDS_PICTURE,
    ),
    Family(
        "AnimateLCM-I2V",
        BaseModel.SD15,
        OFFICIAL,
        has_picture_encoder=True,
        computed_positions=64,
        advice=f"{NEEDS_PICTURE}; {LCM_SAMPLING}",
    ),
    Family(
        "AnimateLCM",
        BaseModel.SD15,
        OFFICIAL,
        has_mid_block=True,
        stores_positions=False,
        computed_positions=64,
        advice=LCM_SAMPLING,
    ),
    Family(
        "AnimateDiff v1",
        BaseModel.SD15,
        OFFICIAL,
        has_mid_block=False,
        num_positions=24,
        video_group_norm=True,
    ),
    Family("AnimateDiff v2", BaseModel.SD15, OFFICIAL, has_mid_block=True, stores_positions=True),
    Family("AnimateDiff v3", BaseModel.SD15, OFFICIAL, has_mid_block=False, stores_positions=True),
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


def find_family(traits: Traits, family: str = "") -> Family | None:
    """The row that a file with these traits belongs to; the one it says itself, where that is possible."""
    for row in FAMILIES:
        if row.name == family and row.base_model in (None, traits.base_model):
            return row
    return next((row for row in FAMILIES if row.has(traits)), None)
