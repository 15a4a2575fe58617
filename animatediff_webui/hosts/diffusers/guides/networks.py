"""The networks that steer an animator's clips, loaded when a clip first asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import nn

from animatediff_webui.core.errors import UserError

from .controlnet import ActiveControlNet, ControlNetwork
from .controlnet_files import CONTROLNETS
from .files import Source, find_network, load_network
from .hints import Followed, open_followed
from .ip_adapter import ImagePrompt, ImagePrompts
from .ip_adapter_files import LoadedIpAdapter, load_ip_adapter
from .settings import ControlNet, IpAdapter, Network, SparseCtrl
from .sparsectrl import PictureReader, check_context, check_keyframes
from .sparsectrl_files import SPARSECTRLS

if TYPE_CHECKING:
    from animatediff_webui.core.parameters import Parameters
    from animatediff_webui.core.plan import Plan
    from animatediff_webui.core.sources import SourceInfo
    from animatediff_webui.media.sources import ClipSource

    from ..model_options import ModelOptions
    from ..pipelines import Pipeline
    from .hints import HintReader
    from .residuals import Guide
    from .sparsectrl import SparseNetwork


@dataclass(frozen=True)
class Guides:
    """What steers a clip, as it was asked for, with everything opened that it follows."""

    controlnets: tuple[Followed, ...] = ()
    sparsectrls: tuple[SparseCtrl, ...] = ()
    ip_adapters: tuple[IpAdapter, ...] = ()

    @property
    def beside(self) -> tuple[Network, ...]:
        """Those that run beside the UNet."""
        return (*(each.control for each in self.controlnets), *self.sparsectrls)

    @property
    def networks(self) -> tuple[Network, ...]:
        return (*self.beside, *self.ip_adapters)

    @property
    def infos(self) -> tuple[SourceInfo, ...]:
        """What a plan has to know of what is followed, beside the clip's source."""
        return tuple(info for each in self.controlnets for info in each.infos)

    @property
    def follow_source(self) -> bool:
        """Whether any follows the clip's source."""
        return any(each.control.follows_source for each in self.controlnets)

    def check(self, plan: Plan) -> None:
        """ParameterError where they do not go with the plan."""
        for each in (*self.sparsectrls, *self.ip_adapters):
            check_keyframes(each, plan.num_frames)


def open_guides(networks: Sequence[Network], parameters: Parameters, source: ClipSource) -> Guides:
    """Everything opened that the networks follow. Raises UserError."""
    controlnets = [each for each in networks if isinstance(each, ControlNet)]
    sparsectrls = tuple(each for each in networks if isinstance(each, SparseCtrl))
    ip_adapters = tuple(each for each in networks if isinstance(each, IpAdapter))
    return Guides(open_followed(controlnets, parameters, source), sparsectrls, ip_adapters)


@dataclass(frozen=True)
class LoadedGuides:
    """What steers a clip, with the networks beside the UNet, in the order of `asked`."""

    asked: Guides
    networks: tuple[nn.Module, ...]
    image_prompts: ImagePrompts

    def read(self, hints: HintReader, keyframes: PictureReader) -> tuple[Guide, ...]:
        """The networks with what they are shown. Raises UserError where that cannot be read."""
        networks = iter(self.networks)
        guides: list[Guide] = []
        for each in self.asked.controlnets:
            network = cast("ControlNetwork", next(networks))
            guides.append(ActiveControlNet(network, hints.read(each), each.control))
        for each in self.asked.sparsectrls:
            guides.append(keyframes.read(each, cast("SparseNetwork", next(networks))))
        return tuple(guides)


SOURCES: Mapping[type[Network], Source] = {ControlNet: CONTROLNETS, SparseCtrl: SPARSECTRLS}
"""How networks of each kind come from disk."""


class NetworkShelf:
    """Loaded networks by their files; those that the next clip does not ask for are let go.

    `brought`: the folder of those that the checkpoint brings along, if it does.
    """

    def __init__(self, options: ModelOptions, brought: Path | None) -> None:
        self._options, self._brought = options, brought
        self._loaded: dict[Path, nn.Module] = {}
        self._adapters: dict[tuple[Path, Path | str | None], LoadedIpAdapter] = {}

    def check(self, networks: Iterable[Network]) -> None:
        """Raise UserError where there is no such file or folder."""
        for network in networks:
            find_network(network, self._brought)

    def load(self, guides: Guides, pipeline: Pipeline, plan: Plan) -> LoadedGuides:
        """The networks, on the device. Raises UserError and MotionModuleError for what is none, or does not
        fit the pipeline's UNet, or the plan."""
        wanted = [(each, find_network(each, self._brought)) for each in guides.beside]
        paths = {path for _, path in wanted}
        self._loaded = {path: network for path, network in self._loaded.items() if path in paths}
        networks = tuple(self._load(each, path, pipeline) for each, path in wanted)
        for each, network in zip(guides.beside, networks, strict=True):
            if isinstance(each, SparseCtrl):
                check_context(each, network, plan.context_length)
        return LoadedGuides(guides, networks, self._image_prompts(guides.ip_adapters, pipeline, plan))

    def _image_prompts(self, adapters: Sequence[IpAdapter], pipeline: Pipeline, plan: Plan) -> ImagePrompts:
        options = self._options
        if adapters and options.offload == "sequential":
            raise UserError("An IP-Adapter cannot be moved layer by layer: use offload model, or none.")
        kept: dict[tuple[Path, Path | str | None], LoadedIpAdapter] = {}
        prompts: list[ImagePrompt] = []
        for each in adapters:
            path = find_network(each, self._brought)
            key = path, each.image_encoder
            kept[key] = self._adapters.get(key) or load_ip_adapter(
                each, path, pipeline.unet, options.torch_device, options.torch_dtype
            )
            prompts.append(kept[key].prompt(each, plan))
        self._adapters = kept
        return ImagePrompts(tuple(prompts))

    def _load(self, network: Network, path: Path, pipeline: Pipeline) -> nn.Module:
        if path not in self._loaded:
            source = SOURCES[type(network)]
            loaded = load_network(network, path, source, pipeline.unet, self._options.torch_dtype)
            self._loaded[path] = loaded.to(self._options.torch_device)
        return self._loaded[path]
