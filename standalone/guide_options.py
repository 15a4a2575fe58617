"""The command line's options of what steers a clip: a network, and behind it what it is shown."""

from __future__ import annotations

import argparse
from argparse import Action, ArgumentError, ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from animatediff_webui.core.keyframes import by_frame, parse_keyframe
from animatediff_webui.hosts.diffusers.guides.settings import (
    CONTROL_IMAGE,
    CONTROL_VIDEO,
    GROUP,
    IMAGE_ENCODER,
    IP_IMAGE,
    KEYFRAME,
    PREPROCESSOR,
    ControlNet,
    IpAdapter,
    Network,
    SparseCtrl,
    parse_network,
)

if TYPE_CHECKING:
    from animatediff_webui.core.fields import Field
    from animatediff_webui.hosts.diffusers.settings import GuideKeywords

NOTATION = "FILE[:WEIGHT[:START-END]]"


@dataclass(frozen=True)
class Said:
    """A network as it was named, and what was said of it behind that, by the options' names."""

    text: str
    details: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def last(self, row: Field) -> str | None:
        """What was said of a row last, None for nothing."""
        said = self.details.get(row.name)
        return said[-1] if said else None


class _Begin(Action):
    """Notes a network, to which the options behind it belong."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:  # Any: as argparse has it
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), Said(values)])


class _Tell(Action):
    """Says something of the network before it, whose name is `const`."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:  # Any: as argparse has it
        networks: Sequence[Said] = getattr(namespace, str(self.const))
        if not networks:
            flag = f"--{str(self.const).replace('_', '-')}"
            raise ArgumentError(self, f"stands before any {flag}: put it behind the one that it is for")
        networks[-1].details.setdefault(self.dest, []).append(values)


def _begin(kind: type[Network], help: str) -> Mapping[str, object]:
    return {"action": _Begin, "default": [], "dest": kind.keyword, "metavar": NOTATION, "help": help}


def _tell(kind: type[Network], row: Field, metavar: str) -> Mapping[str, object]:
    choices = f" ({', '.join(map(str, row.choices))})" if row.choices else ""
    return {
        "action": _Tell, "const": kind.keyword, "default": argparse.SUPPRESS, "metavar": metavar,
        "help": f"{row.full_help}{choices}",
    }  # fmt: skip


GUIDE_OPTIONS: Mapping[tuple[str, ...], Mapping[str, object]] = {
    ("--controlnet",): _begin(
        ControlNet,
        "A ControlNet, any number of times: a .safetensors file, a diffusers folder, or the name of one of "
        "the embedded model's. WEIGHT is how strongly it acts, START and END are the part of sampling, from "
        "0 to 1. It follows --video-source or --video-path, or what stands behind it.",
    ),
    ("--control-video",): _tell(ControlNet, CONTROL_VIDEO, "PATH"),
    ("--control-image",): _tell(ControlNet, CONTROL_IMAGE, "FILE"),
    ("--preprocessor",): _tell(ControlNet, PREPROCESSOR, "NAME"),
    ("--sparsectrl",): _begin(
        SparseCtrl, "A SparseCtrl for SD1.5, RGB or scribble, which goes by pictures of some frames."
    ),
    ("--keyframe",): _tell(SparseCtrl, KEYFRAME, "FRAME=FILE"),
    ("--ip-adapter",): _begin(
        IpAdapter, "An IP-Adapter for SD1.5 or SDXL, which says what pictures show; any number of times."
    ),
    ("--ip-image",): _tell(IpAdapter, IP_IMAGE, "FILE[@FRAME]"),
    ("--image-encoder",): _tell(IpAdapter, IMAGE_ENCODER, "DIR"),
}
"""What argparse is told of them."""
GUIDE_GROUP = GROUP


def read_guides(options: Namespace) -> GuideKeywords:
    """What was said of networks, as Python callers say it. Raises ParameterError."""
    controlnets: Sequence[Said] = options.controlnet
    sparsectrls: Sequence[Said] = options.sparsectrl
    ip_adapters: Sequence[Said] = options.ip_adapter
    return {
        "controlnet": [_controlnet(said) for said in controlnets],
        "sparsectrl": [_sparsectrl(said) for said in sparsectrls],
        "ip_adapter": [_ip_adapter(said) for said in ip_adapters],
    }


def _controlnet(said: Said) -> ControlNet:
    details = {
        "video": said.last(CONTROL_VIDEO),
        "image": said.last(CONTROL_IMAGE),
        "preprocessor": said.last(PREPROCESSOR),
    }
    parsed: dict[str, Any] = {
        **parse_network(said.text, ControlNet.keyword),
        **details,
    }  # Any: each is checked
    return ControlNet(**{name: value for name, value in parsed.items() if value is not None})


def _sparsectrl(said: Said) -> SparseCtrl:
    keyframes = by_frame(parse_keyframe(text, KEYFRAME.name) for text in said.details.get(KEYFRAME.name, []))
    parsed: dict[str, Any] = dict(parse_network(said.text, SparseCtrl.keyword))  # Any: each is checked
    return SparseCtrl(**parsed, keyframes=keyframes)


def _ip_adapter(said: Said) -> IpAdapter:
    images = by_frame(_parse_ip_image(text) for text in said.details.get(IP_IMAGE.name, []))
    parsed: dict[str, Any] = dict(parse_network(said.text, IpAdapter.keyword))  # Any: each is checked
    return IpAdapter(**parsed, images=images, image_encoder=said.last(IMAGE_ENCODER))


def _parse_ip_image(text: str) -> tuple[int, str]:
    """`FILE`, or `FILE@FRAME`."""
    picture, at, frame = text.rpartition("@")
    return (int(frame), picture) if at and picture and frame.isascii() and frame.isdigit() else (0, text)
