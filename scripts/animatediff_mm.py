"""A door that sd-webui-controlnet opens by this name, for SparseCtrl."""

from animatediff_webui.hosts.webui.controlnet.sparsectrl import MotionModuleType, MotionWrapper

__all__ = ["MotionModuleType", "MotionWrapper"]
