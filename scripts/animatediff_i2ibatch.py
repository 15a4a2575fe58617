"""A door that sd-webui-controlnet opens by this name, in place of the img2img batch."""

from animatediff_webui.hosts.webui.batch import animate_folder as animatediff_i2i_batch

__all__ = ["animatediff_i2i_batch"]
