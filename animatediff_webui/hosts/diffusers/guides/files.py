"""Networks from files and folders: where they are, what they are, and whether they fit the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import nn

from animatediff_webui.core.errors import UserError
from motion_module.errors import shorten
from motion_module.inspection import WeightsFile, check_kind, inspect_file
from motion_module.kinds import Kind
from motion_module.unets import detect_base_model
from motion_module.weights_files import read_weights

from ..files import existing, one_line, read_json, shown_path
from ..results import NotEnoughMemoryError, memory_explained

if TYPE_CHECKING:
    from ..pipelines import Config
    from .settings import Network
    from .shapes import Weights

CONFIG = "config.json"
TOLD_BY = ("block_out_channels", "cross_attention_dim", "addition_embed_type")
"""Of a configuration: what a network beside a UNet has in common with it."""


class NetworkClass(Protocol):
    """One of diffusers' classes."""

    def from_pretrained(
        self, path: Path, *, dtype: torch.dtype, local_files_only: bool, output_loading_info: bool
    ) -> tuple[nn.Module, Mapping[str, object]]: ...
    def from_config(self, config: Mapping[str, object]) -> nn.Module: ...


@dataclass(frozen=True)
class Source:
    """How networks of one kind come from disk.

    `class_name` is diffusers', which `import_class` imports; `kind` is what a single file has to be;
    `rename` gives its weights diffusers' names; `configure` tells the network's shape by these weights and
    the UNet's configuration. Weights whose names end with `computed` are no file's.
    """

    class_name: str
    import_class: Callable[[], NetworkClass]
    kind: Kind
    rename: Callable[[Weights], Weights]
    configure: Callable[[Weights, Config], dict[str, object]]
    computed: str = ""

    def computes(self, key: str) -> bool:
        """Whether a weight is no file's."""
        return bool(self.computed) and key.endswith(self.computed)


def find_network(network: Network, brought: Path | None) -> Path:
    """The file or folder of a network; a name alone may be that of one which the checkpoint brings along, in
    `brought`/KIND. Raises UserError where there is none."""
    path = Path(network.model)
    is_name = len(path.parts) == 1 and not path.suffix
    if brought is not None and is_name and not path.exists():
        return _find_brought(network, brought / network.keyword)
    return existing(path, network.title)


def load_network(
    network: Network, path: Path, source: Source, unet: nn.Module, dtype: torch.dtype
) -> nn.Module:
    """The network in a file or folder, on the CPU.

    Raises UserError and MotionModuleError where it is something else, damaged, or made for another checkpoint
    than that of `unet`.
    """
    what = f"The {network.title} {shown_path(path)}"
    try:
        with memory_explained():
            if path.is_dir():
                loaded = _load_folder(what, path, source, dtype)
            else:
                loaded = _load_file(what, path, source, unet, dtype)
    except (UserError, NotEnoughMemoryError):
        raise
    except (ValueError, RuntimeError, OSError, KeyError, TypeError, AttributeError) as error:
        # What libraries raise for unfit files.
        raise UserError(f"{what} cannot be loaded: {one_line(error)}") from error
    _check_fits(what, _config(loaded), _config(unet))
    return loaded.eval().requires_grad_(False)


def _find_brought(network: Network, folder: Path) -> Path:
    names = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    if str(network.model) in names:
        return folder / network.model
    raise UserError(
        f"There is no {network.title} {shorten(str(network.model))} with this checkpoint (there are: "
        f"{', '.join(names) or 'none'}): name one of them, a .safetensors file or a diffusers folder."
    )


def _load_folder(what: str, path: Path, source: Source, dtype: torch.dtype) -> nn.Module:
    found = read_json(path / CONFIG).get("_class_name")
    if found != source.class_name:
        raise UserError(f"{what} holds a {found}, but must hold a {source.class_name}: name another folder.")
    known = source.import_class()
    loaded, info = known.from_pretrained(path, dtype=dtype, local_files_only=True, output_loading_info=True)
    missing = cast("list[str]", info["missing_keys"])
    if missing:
        raise UserError(
            f"{what} lacks {len(missing)} of its tensors, {missing[0]} for one: get the complete folder."
        )
    return loaded


def _load_file(what: str, path: Path, source: Source, unet: nn.Module, dtype: torch.dtype) -> nn.Module:
    file = inspect_file(path)
    check_kind(file, source.kind)
    _check_base_model(what, file, unet)
    weights = source.rename(read_weights(path).tensors)
    config = source.configure(weights, _config(unet))
    _check_fits(what, config, _config(unet))
    with torch.device("cpu" if source.computed else "meta"):
        network = source.import_class().from_config(config)
    expected = {
        key for key in network.state_dict() if not (source.computed and key.endswith(source.computed))
    }
    unfit = sorted(expected ^ set(weights))
    if unfit:
        raise UserError(
            f"{what} lacks {len(expected - set(weights))} tensors and has {len(set(weights) - expected)} too "
            f"many, {shorten(unfit[0])} for one: get the file that its authors published."
        )
    network.load_state_dict(dict(weights), strict=False, assign=True)
    return network.to(dtype)


def _check_base_model(what: str, file: WeightsFile, unet: nn.Module) -> None:
    wanted = detect_base_model(unet)
    if file.image_model is not None and file.base_model is not wanted:
        raise UserError(
            f"{what} was made for {file.image_model.name}, but the checkpoint is {wanted.value}: choose one "
            f"for {wanted.value}."
        )


def _check_fits(what: str, config: Config | dict[str, object], unet: Config) -> None:
    """UserError for a network whose layers cannot lie beside the UNet's."""
    for name in TOLD_BY:
        found, wanted = config.get(name), unet.get(name)
        if _plain(found) != _plain(wanted):
            raise UserError(
                f"{what} was made for another checkpoint (its {name} is {_plain(found)}, this one's is "
                f"{_plain(wanted)}): choose one that was made for this kind of checkpoint."
            )


def _plain(value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def _config(network: nn.Module) -> Config:
    return cast("Config", cast("Any", network).config)  # Any: torch has no configurations
