from types import SimpleNamespace

import torch

from modules.options import Options
from modules.shared_state import State
from modules.styles import StyleDatabase

device = torch.device("cpu")
demo = None
cmd_opts = SimpleNamespace(lowvram=False, medvram=False, api_auth=None, lora_dir=None)
sd_model = None


opts, state, prompt_styles = Options(), State(), StyleDatabase()
