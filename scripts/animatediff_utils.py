"""A door that sd-webui-controlnet opens by this name."""

from animatediff_webui.hosts.webui.controlnet.argument import find_run as get_animatediff_arg

__all__ = ["get_animatediff_arg"]
