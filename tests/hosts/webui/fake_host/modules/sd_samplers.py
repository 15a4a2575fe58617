from modules import sd_samplers_common
from modules.sd_samplers_cfg_denoiser import CFGDenoiser


def create_sampler(name, model):
    sampler = sd_samplers_common.Sampler(name)
    sampler.model_wrap_cfg = CFGDenoiser(sampler)
    return sampler
