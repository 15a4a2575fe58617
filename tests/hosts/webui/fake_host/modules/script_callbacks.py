class CFGDenoiserParams:
    def __init__(
        self, x, image_cond, sigma, sampling_step, total_sampling_steps, text_cond, text_uncond, denoiser=None
    ):
        self.x, self.image_cond, self.sigma = x, image_cond, sigma
        self.sampling_step, self.total_sampling_steps = sampling_step, total_sampling_steps
        self.text_cond, self.text_uncond, self.denoiser = text_cond, text_uncond, denoiser


class ImageGridLoopParams:
    def __init__(self, imgs, cols, rows):
        self.imgs, self.cols, self.rows = imgs, cols, rows


callbacks = {}


def on_app_started(callback, *, name=None):
    callbacks.setdefault("app_started", []).append(callback)


def on_before_ui(callback, *, name=None):
    callbacks.setdefault("before_ui", []).append(callback)


def on_image_grid(callback, *, name=None):
    callbacks.setdefault("image_grid", []).append(callback)


def on_script_unloaded(callback, *, name=None):
    callbacks.setdefault("script_unloaded", []).append(callback)


def on_ui_settings(callback, *, name=None):
    callbacks.setdefault("ui_settings", []).append(callback)
