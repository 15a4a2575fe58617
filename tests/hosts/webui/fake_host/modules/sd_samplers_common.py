import torch
from PIL import Image

from modules import shared

approximation_indexes = {"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3}


class InterruptedException(BaseException):
    pass


def images_tensor_to_samples(image, approximation=None, model=None):
    return model.encode_first_stage(image * 2 - 1)


def single_sample_to_image(sample, approximation=None):
    level = int(sample.mean().sigmoid() * 255)
    return Image.new("RGB", (sample.shape[2], sample.shape[1]), (level, approximation or 0, 0))


def sample_to_image(samples, index=0, approximation=None):
    return single_sample_to_image(samples[index], approximation)


def decode_first_stage(model, x):
    return model.decode_first_stage(x)


class Sampler:
    """Steps of Euler's method; a `second_order` sampler calls the model twice in each."""

    def __init__(self, funcname):
        self.funcname = funcname
        self.last_latent = None
        self.sampler_extra_args = None

    def launch_sampling(self, steps, func):
        self.model_wrap_cfg.steps = steps
        self.model_wrap_cfg.total_steps = steps * (2 if self.funcname == "Heun" else 1)
        shared.state.sampling_steps, shared.state.sampling_step = steps, 0
        try:
            return func()
        except InterruptedException:
            return self.last_latent

    def sample(self, p, x, conditioning, unconditional_conditioning, steps=None, image_conditioning=None):
        self.last_latent = x
        return self._run(p, x, conditioning, unconditional_conditioning, p.steps, image_conditioning)

    def sample_img2img(
        self, p, x, noise, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        self.last_latent = self.started_from = x + noise
        self.model_wrap_cfg.init_latent = x
        return self._run(
            p, x + noise, conditioning, unconditional_conditioning, steps or p.steps, image_conditioning
        )

    def _run(self, p, x, cond, uncond, steps, image_cond):
        if hasattr(shared.sd_model, "forge_objects"):
            from backend.sampling_function import sampling_prepare

            sampling_prepare(shared.sd_model.forge_objects.unet, x)
        cfg = self.model_wrap_cfg
        cfg.p, cfg.step, cfg.mask, cfg.nmask = p, 0, getattr(p, "mask", None), getattr(p, "nmask", None)
        self.sampler_extra_args = {"cond": cond, "uncond": uncond}
        self.started_from = x

        def steps_of_euler():
            latent = x
            for i in range(steps):
                for _ in range(2 if self.funcname == "Heun" else 1):
                    sigma = torch.full((len(latent),), float(steps - i))
                    denoised = cfg(latent, sigma, uncond, cond, p.cfg_scale, p.s_min_uncond, image_cond)
                latent = latent + (denoised - latent) / (steps - i)
                shared.state.sampling_step = i
            return latent

        return self.launch_sampling(steps, steps_of_euler)
