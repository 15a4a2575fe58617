"""The engine without a WebUI: a command line and a Python API on diffusers, and a tiny model to try it with.

from standalone import Animator

Animator().generate("a red circle moving right on a blue background", seed=1).save("outputs")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animatediff_webui.hosts.diffusers.clip import Clip
    from animatediff_webui.hosts.diffusers.guides.settings import ControlNet, IpAdapter, SparseCtrl
    from animatediff_webui.hosts.diffusers.image_settings import ImageSettings
    from animatediff_webui.hosts.diffusers.image_settings import ImageSettings as Picture
    from animatediff_webui.hosts.diffusers.model_options import ModelOptions
    from standalone.animator import Animator

__all__ = [
    "Animator",
    "Clip",
    "ControlNet",
    "ImageSettings",
    "IpAdapter",
    "ModelOptions",
    "Picture",
    "SparseCtrl",
]

_HOST = "animatediff_webui.hosts.diffusers"
_PLACES = {
    "Animator": ("standalone.animator", "Animator"),
    "Clip": (f"{_HOST}.clip", "Clip"),
    "ControlNet": (f"{_HOST}.guides.settings", "ControlNet"),
    "ImageSettings": (f"{_HOST}.image_settings", "ImageSettings"),
    "IpAdapter": (f"{_HOST}.guides.settings", "IpAdapter"),
    "ModelOptions": (f"{_HOST}.model_options", "ModelOptions"),
    "Picture": (f"{_HOST}.image_settings", "ImageSettings"),  # the older name
    "SparseCtrl": (f"{_HOST}.guides.settings", "SparseCtrl"),
}


def __getattr__(name: str) -> object:
    """Looked up on first use: before the environment is made, there is no PyTorch."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place, attribute = _PLACES[name]
    return getattr(import_module(place), attribute)
