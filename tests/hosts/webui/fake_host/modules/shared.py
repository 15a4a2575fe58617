from types import SimpleNamespace

import torch

device = torch.device("cpu")
demo = None
cmd_opts = SimpleNamespace(lowvram=False, medvram=False, api_auth=None, lora_dir=None)
sd_model = None


class Options:
    """Options live in `data`, and are read as attributes."""

    def __init__(self):
        self.data = {
            "batch_cond_uncond": True,
            "pad_cond_uncond": False,
            "skip_early_cond": 0.0,
            "enable_pnginfo": True,
            "img2img_background_color": "#ffffff",
            "sd_vae_encode_method": "Full",
            "sd_noise_schedule": "Default",
            "use_downcasted_alpha_bar": False,
            "return_mask": False,
            "samples_save": True,
            "show_progress_type": "Approx NN",
            "outdir_grids": "",
            "outdir_txt2img_grids": "",
            "sd_model_checkpoint": None,
        }

    def __getattr__(self, item):
        data = self.__dict__.get("data", {})
        if item in data:
            return data[item]
        raise AttributeError(item)


class State:
    def __init__(self):
        self.interrupted = self.skipped = False
        self.sampling_step = self.sampling_steps = 0
        self.job, self.time_start, self.job_count = "", 0.0, -1
        self.current_latent = self.current_image = None

    def begin(self, job="(unknown)"):
        self.interrupted = self.skipped = False
        self.job, self.time_start = job, self.time_start + 1.0

    def do_set_current_image(self):
        from modules import sd_samplers_common

        self.assign_current_image(sd_samplers_common.sample_to_image(self.current_latent))

    def assign_current_image(self, image):
        self.current_image = image


class StyleDatabase:
    def __init__(self):
        self.styles = {}

    def apply_styles_to_prompt(self, prompt, styles):
        return ", ".join([prompt.strip(), *(self.styles[name] for name in styles)])

    def apply_negative_styles_to_prompt(self, prompt, styles):
        return prompt


opts, state, prompt_styles = Options(), State(), StyleDatabase()
