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
