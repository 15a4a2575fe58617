"""The engine without a WebUI: a command line and a Python API on diffusers, and a tiny model to try it with.

    from standalone import Animator

    Animator().generate("a red circle moving right on a blue background", seed=1).save("outputs")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animatediff_webui.hosts.diffusers.animator import Clip
    from animatediff_webui.hosts.diffusers.checkpoint import ModelOptions
    from animatediff_webui.hosts.diffusers.image_settings import Picture
    from standalone.animator import Animator

__all__ = ["Animator", "Clip", "ModelOptions", "Picture"]


def __getattr__(name: str) -> Any:
    """Looked up on first use: before the environment is made, there is no PyTorch. (Any: a class.)"""
    from importlib import import_module

    host = "animatediff_webui.hosts.diffusers"
    places = {
        "Animator": "standalone.animator",
        "Clip": f"{host}.animator",
        "ModelOptions": f"{host}.checkpoint",
        "Picture": f"{host}.image_settings",
    }
    if name not in places:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(places[name]), name)
