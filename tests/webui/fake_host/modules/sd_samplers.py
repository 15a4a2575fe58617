from modules import sd_samplers_common
from modules.sd_samplers_cfg_denoiser import CFGDenoiser
from modules.sd_samplers_common import sample_to_image, samples_to_image_grid  # noqa: F401


def create_sampler(name, model):
    sampler = sd_samplers_common.Sampler(name)
    sampler.model_wrap_cfg = CFGDenoiser(sampler)
    return sampler
