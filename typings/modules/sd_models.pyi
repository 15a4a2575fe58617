from animatediff_webui.hosts.webui.host_types import Checkpoint, LoadedModels

model_data: LoadedModels

def get_closet_checkpoint_match(search_string: str) -> Checkpoint | None: ...
