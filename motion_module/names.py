"""The names that publishers gave to the same parameters, and the way to the official ones and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from motion_module.errors import MotionModuleError

PREFIX = r"(?:(?:module|model|unet|base_model|_orig_mod)\.)*"
"""What wrappers of the training scripts put before a key."""
BLOCK = r"(?:down_blocks\.\d+|mid_block|up_blocks\.\d+)"

AFFINE = r"(?:weight|bias)"
TAIL = re.compile(
    rf"(?:norm|proj_in|proj_out)\.{AFFINE}"
    rf"|transformer_blocks\.\d+\.(?:(?:norms\.\d+|ff_norm|ff\.net\.0\.proj|ff\.net\.2)\.{AFFINE}"
    rf"|attention_blocks\.\d+\.(?:(?:to_q|to_k|to_v)\.weight|to_out\.0\.{AFFINE}|pos_encoder\.pe))"
)
"""What follows `motion_modules.J.temporal_transformer.` in the official format."""
CONV_IN = re.compile(rf"{PREFIX}(conv_in\.{AFFINE})")


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
        layer = re.escape(self.layer).replace("J", r"(?P<layer>\d+)")
        return re.fullmatch(rf"{PREFIX}(?P<block>{BLOCK})\.{layer}\.(?P<tail>.+)", key)


OFFICIAL = Naming("official", "motion_modules.J.temporal_transformer")
HOTSHOT = Naming(
    "HotShot-XL",
    "temporal_attentions.J",
    tuple(
        (f"attention_blocks.{k}.pos_encoder.positional_encoding", f"attention_blocks.{k}.pos_encoder.pe")
        for k in (0, 1)
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
class OfficialKeys:
    """A file's motion weights under official names.

    naming: whose they had. foreign: keys of no layer. conv_in: the UNet's input convolution, if it is there.
    """

    naming: Naming | None
    tensors: dict[str, Tensor]
    foreign: tuple[str, ...]
    conv_in: dict[str, Tensor]


def to_official(tensors: Mapping[str, Tensor]) -> OfficialKeys:
    """Rename what has the form of a motion module's key, and leave out all else."""
    found: dict[str, Tensor] = {}
    foreign: list[str] = []
    namings: list[Naming] = []
    for key, tensor in tensors.items():
        naming, match = next(((n, m) for n in NAMINGS if (m := n.match(key))), (None, None))
        if naming is None or match is None:
            continue
        tails = [tail for tail in _rename(match["tail"], naming.parts) if TAIL.fullmatch(tail)]
        if not tails:
            foreign.append(key)
            continue
        namings.append(naming)
        site = f"{match['block']}.motion_modules.{match['layer']}.temporal_transformer"
        found |= {f"{site}.{tail}": tensor if tail is tails[0] else tensor.clone() for tail in tails}
    conv_in = {m[1]: tensor for key, tensor in tensors.items() if (m := CONV_IN.fullmatch(key))}
    return OfficialKeys(namings[0] if namings else None, found, tuple(foreign), conv_in)


def rename_layer(layer: str) -> str:
    """The official name of a temporal layer, and any other layer's unchanged."""
    for naming in NAMINGS:
        if match := naming.match(layer):
            tail = _rename(match["tail"], naming.parts)[0]
            return f"{match['block']}.motion_modules.{match['layer']}.temporal_transformer.{tail}"
    return layer


def from_official(tensors: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """Rename official keys, and no others; MotionModuleError where two that become one differ."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = key
        if match := OFFICIAL.match(key):
            parts = tuple((official, here) for here, official in naming.parts)
            tail = _rename(match["tail"], parts)[0]
            name = f"{match['block']}.{naming.layer.replace('J', match['layer'])}.{tail}"
        if name in renamed and not tensor.equal(renamed[name]):
            raise MotionModuleError(
                f"{key} and another tensor would both be {name} under {naming.name} names, but they differ: "
                "keep the official names."
            )
        renamed[name] = tensor
    return renamed


def _rename(tail: str, parts: Iterable[tuple[str, str]]) -> list[str]:
    """The tail with its transformer block's part renamed, in all ways there are; unchanged if none."""
    match = re.fullmatch(r"(transformer_blocks\.\d+\.)(.+)", tail)
    if match is None:
        return [tail]
    block, rest = match.groups()
    # The longest name first: pos_encoder lies inside the attention blocks that have a name of their own.
    fitting = sorted(
        (part for part in parts if f"{rest}.".startswith(f"{part[0]}.")), key=lambda p: -len(p[0])
    )
    longest = [part for part in fitting if len(part[0]) == len(fitting[0][0])]
    return [f"{block}{new}{rest[len(old) :]}" for old, new in longest] or [tail]
