from enum import Enum

from animatediff_webui.hosts.webui.backends.patchers import LoadedModel

vram_state: Enum
current_loaded_models: list[LoadedModel]
