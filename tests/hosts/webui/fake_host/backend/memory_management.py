"""What the forks keep in memory: each model by its patcher; the device is the CPU here."""

import enum

current_loaded_models = []


class VRAMState(enum.Enum):
    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3


vram_state = VRAMState.NORMAL_VRAM


class LoadedModel:
    def __init__(self, model):
        self.model = model

    def model_load(self):
        self.model.model.to(self.model.load_device)
        self.model.model.loaded_by_host = self  # as the host keeps notes on every model

    def model_unload(self, avoid_model_moving=False):
        self.model.model.to(self.model.offload_device)

    def __eq__(self, other):
        return self.model is other.model


def load_models_gpu(models, memory_required=0):
    for model in models:
        loaded = LoadedModel(model)
        if loaded not in current_loaded_models:
            # Copies of a patcher share one model, and the last of them stands for it.
            current_loaded_models[:] = [x for x in current_loaded_models if x.model.model is not model.model]
            loaded.model_load()
            current_loaded_models.insert(0, loaded)
