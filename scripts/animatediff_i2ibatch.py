"""A door that sd-webui-controlnet opens by this name, in place of the img2img batch."""

from animatediff_webui.hosts.a1111_batch import animate_folder as animatediff_i2i_batch

__all__ = ["animatediff_i2i_batch"]
