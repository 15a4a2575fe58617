"""The names that publishers gave to the same parameters, and the way to the official ones and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from motion_module.errors import MotionModuleError

PREFIX = r"(?:(?:module|model|unet|base_model|_orig_mod)\.)*"
"""What wrappers of the training scripts put before a key."""
NUMBER = r"[0-9]{1,4}"
BLOCK = rf"(?:down_blocks\.{NUMBER}|mid_block|up_blocks\.{NUMBER})"

AFFINE = r"(?:weight|bias)"
TAIL = re.compile(
    rf"(?:norm|proj_in|proj_out)\.{AFFINE}"
    rf"|transformer_blocks\.{NUMBER}\.(?:(?:norms\.{NUMBER}|ff_norm|ff\.net\.0\.proj|ff\.net\.2)\.{AFFINE}"
    rf"|attention_blocks\.{NUMBER}\.(?:(?:to_q|to_k|to_v)\.weight|to_out\.0\.{AFFINE}|pos_encoder\.pe))"
)
"""What follows `motion_modules.J.temporal_transformer.` in the official format."""
CONV_IN = re.compile(rf"{PREFIX}(conv_in\.{AFFINE})")
PICTURE_ENCODER = re.compile(
    rf"{PREFIX}(img_encoder\.(?:conv_in|body\.{NUMBER}\.(?:in_conv|block1|block2))\.{AFFINE})"
)


@dataclass(frozen=True)
class Naming:
    """A publisher's names: layer, between block and tail, and parts, of a transformer block.

    parts: (here, officially). A name here may stand for two official ones: diffusers keeps one position
    encoding for both attentions.
    """

    name: str
    layer: str
    parts: tuple[tuple[str, str], ...] = ()

    def match(self, key: str) -> re.Match[str] | None:
        """Groups `block`, `layer` and `tail` of a key that has this naming's form."""
        layer = re.escape(self.layer).replace("J", rf"(?P<layer>{NUMBER})")
        return re.fullmatch(rf"{PREFIX}(?P<block>{BLOCK})\.{layer}\.(?P<tail>.+)", key)


OFFICIAL = Naming("official", "motion_modules.J.temporal_transformer")
HOTSHOT = Naming(
    "HotShot-XL",
    "temporal_attentions.J",
    (
        ("attention_blocks.0.pos_encoder.positional_encoding", "attention_blocks.0.pos_encoder.pe"),
        ("attention_blocks.1.pos_encoder.positional_encoding", "attention_blocks.1.pos_encoder.pe"),
    ),
)
DIFFUSERS = Naming(
    "diffusers",
    "motion_modules.J",
    (
        ("attn1", "attention_blocks.0"),
        ("attn2", "attention_blocks.1"),
        ("norm1", "norms.0"),
        ("norm2", "norms.1"),
        ("norm3", "ff_norm"),
        ("pos_embed", "attention_blocks.0.pos_encoder"),
        ("pos_embed", "attention_blocks.1.pos_encoder"),
    ),
)
NAMINGS = (OFFICIAL, HOTSHOT, DIFFUSERS)
"""The most specific first: a key of the official form has the form of diffusers' too."""


@dataclass(frozen=True)
class OfficialNames:
    """A file's motion weights: official name -> the file's key.

    naming: whose the file's names are, None where it has no motion weights. unexpected: keys of no layer.
    conv_in: of the UNet's input convolution, if it is there; picture_encoder: of AnimateLCM-I2V's, likewise.
    """

    naming: Naming | None
    sources: Mapping[str, str]
    unexpected: tuple[str, ...]
    conv_in: Mapping[str, str]
    picture_encoder: Mapping[str, str]


def find_official_names(keys: Iterable[str]) -> OfficialNames:
    """The official names of what has the form of a motion module's key; all else is left out."""
    naming: Naming | None = None
    sources: dict[str, str] = {}
    unexpected: list[str] = []
    conv_in: dict[str, str] = {}
    picture_encoder: dict[str, str] = {}
    for key in keys:
        if input_convolution := CONV_IN.fullmatch(key):
            conv_in[input_convolution[1]] = key
        elif of_encoder := PICTURE_ENCODER.fullmatch(key):
            picture_encoder[of_encoder[1]] = key
        matched = _match_naming(key)
        if matched is None:
            continue
        names = _official_names(*matched)
        if names:
            naming = naming or matched[0]
            sources |= dict.fromkeys(names, key)
        else:
            unexpected.append(key)
    return OfficialNames(naming, sources, tuple(unexpected), conv_in, picture_encoder)


def rename_layer(layer: str) -> str:
    """The official name of a temporal layer, and any other layer's unchanged."""
    matched = _match_naming(layer)
    if matched is None:
        return layer
    naming, match = matched
    return f"{_official_site(match)}.{_rename(match['tail'], naming.parts)[0]}"


def from_official(tensors: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """Rename official keys, and no others; MotionModuleError where two that become one differ."""
    parts = tuple((official, here) for here, official in naming.parts)
    renamed: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = key
        if match := OFFICIAL.match(key):
            layer = naming.layer.replace("J", match["layer"])
            tail = _rename(match["tail"], parts)[0]
            name = f"{match['block']}.{layer}.{tail}"
        if name in renamed and not tensor.equal(renamed[name]):
            raise MotionModuleError(
                f"{key} and another tensor would both be {name} under {naming.name} names, but they differ: "
                "keep the official names."
            )
        renamed[name] = tensor
    return renamed


def _match_naming(key: str) -> tuple[Naming, re.Match[str]] | None:
    """Whose form the key has, and its groups."""
    for naming in NAMINGS:
        if match := naming.match(key):
            return naming, match
    return None


def _official_names(naming: Naming, match: re.Match[str]) -> list[str]:
    """All official names that a key stands for; none where it is of no layer."""
    tails = _rename(match["tail"], naming.parts)
    return [f"{_official_site(match)}.{tail}" for tail in tails if TAIL.fullmatch(tail)]


def _official_site(match: re.Match[str]) -> str:
    return f"{match['block']}.motion_modules.{match['layer']}.temporal_transformer"


def _rename(tail: str, parts: Iterable[tuple[str, str]]) -> list[str]:
    """The tail with its transformer block's part renamed, in all ways there are; unchanged if none."""
    match = re.fullmatch(rf"(transformer_blocks\.{NUMBER}\.)(.+)", tail)
    if match is None:
        return [tail]
    block, rest = match.groups()
    fitting = [(old, new) for old, new in parts if f"{rest}.".startswith(f"{old}.")]
    # The longest name: pos_encoder lies inside the attention blocks that have a name of their own.
    longest = max((len(old) for old, _ in fitting), default=0)
    renamed = [f"{block}{new}{rest[len(old) :]}" for old, new in fitting if len(old) == longest]
    return renamed or [tail]
