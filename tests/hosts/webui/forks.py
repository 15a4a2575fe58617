"""Checkpoints as Forge, reForge and Forge Classic hold them, small: patchers around one real model."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import torch
from einops import rearrange
from torch import nn

from motion_module import alphas_cumprod
from motion_module.schedules import BetaSchedule
from tests.motion_module.ldm_unet import UNetModel

CPU = torch.device("cpu")


class Patcher:
    """Whatever is in memory: a model, and where it belongs."""

    parent = None

    def __init__(self, model):
        self.model, self.load_device, self.offload_device = model, CPU, CPU


class UnetPatcher(Patcher):
    """Scripts patch copies of it; all of them have the same model."""

    def __init__(self, model):
        super().__init__(model)
        self.model_options = {"transformer_options": {}}
        self.controlnet_linked_list = None
        self.extra_model_patchers_during_sampling = []

    def clone(self):
        twin = UnetPatcher(self.model)
        twin.model_options = copy.deepcopy(self.model_options)
        twin.controlnet_linked_list = self.controlnet_linked_list
        twin.extra_model_patchers_during_sampling = self.extra_model_patchers_during_sampling.copy()
        return twin

    def memory_required(self, input_shape):
        return self.model.memory_required(input_shape=input_shape)

    def add_extra_torch_module_during_sampling(self, m, cast_to_unet_dtype=True):
        patcher = Patcher(m.to(self.model.diffusion_model.dtype) if cast_to_unet_dtype else m)
        self.extra_model_patchers_during_sampling.append(patcher)
        return patcher


class ForgeObjects:
    def __init__(self, unet):
        self.unet = unet

    def shallow_copy(self):
        return ForgeObjects(self.unet)


class Prediction(nn.Module):
    """Between noise levels and timesteps."""

    def __init__(self):
        super().__init__()
        alphas = alphas_cumprod(BetaSchedule.SCALED_LINEAR)
        sigmas = ((1 - alphas) / alphas).sqrt()
        self.register_buffer("sigmas", sigmas.float())
        self.register_buffer("log_sigmas", sigmas.log().float())

    def timestep(self, sigma):
        return (sigma.log() - self.log_sigmas[:, None]).abs().argmin(dim=0)


class RealModel(nn.Module):
    """From noisy to denoised latents; `calls` are what it was called with."""

    def __init__(self, config, prediction):
        super().__init__()
        self.diffusion_model = UNetModel(config)
        self.diffusion_model.dtype = torch.float32
        setattr(self, prediction, Prediction())
        self._prediction = prediction
        self.calls, self.estimated_rows = [], []

    def apply_model(
        self, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **kwargs
    ):
        prediction = getattr(self, self._prediction)
        assert len(x) == len(t) == len(c_crossattn)
        call = SimpleNamespace(rows=len(x), options=transformer_options, sigmas=prediction.sigmas)
        call.context = c_crossattn
        call.control = {key: list(signals) for key, signals in (control or {}).items()}
        self.calls.append(call)
        sigma = t.view(-1, 1, 1, 1)
        output = self.diffusion_model(x / (sigma**2 + 1).sqrt(), prediction.timestep(t), c_crossattn)
        for place, attention in transformer_options.get("patches_replace", {}).get("attn1", {}).items():
            tokens = rearrange(x, "b c h w -> b (h w) c")
            told = {**transformer_options, "block": place, "n_heads": 1}
            attended = attention(tokens, tokens, tokens, told)
            output = output + rearrange(attended, "b (h w) c -> b c h w", h=x.shape[2])
        for signals in (control or {}).values():
            output = output + signals.pop()  # the UNet uses them up
        return x - output * sigma

    def memory_required(self, input_shape):
        self.estimated_rows.append(input_shape[0])
        return input_shape[0] * 1e6


class Checkpoint:
    """What the forks' checkpoints have in common."""

    def __init__(self, config, prediction, embedding):
        torch.manual_seed(0)
        real = RealModel(config, prediction).eval().requires_grad_(False)
        self.forge_objects_original = ForgeObjects(UnetPatcher(real))
        self.forge_objects_after_applying_lora = self.forge_objects_original.shallow_copy()
        self.forge_objects = self.forge_objects_original.shallow_copy()
        self._embedding = embedding

    @property
    def real(self):
        return self.forge_objects_original.unet.model

    @property
    def calls(self):
        return self.real.calls

    def get_learned_conditioning(self, texts):
        return torch.stack([self._embedding(text) for text in texts])

    def encode_first_stage(self, image):
        small = nn.functional.avg_pool2d(image, 8)
        return torch.cat([small, small.mean(1, keepdim=True)], 1)

    def decode_first_stage(self, x):
        return nn.functional.interpolate(x[:, :3], scale_factor=8)


class ForgeCheckpoint(Checkpoint):
    """Forge's: its one schedule is the model's `predictor`, and an idle negative prompt is not encoded."""

    encodes_no_idle_prompt = True

    def __init__(self, config, embedding):
        super().__init__(config, "predictor", embedding)
        self.real.computation_dtype = torch.float32


class LdmPatchedCheckpoint(Checkpoint):
    """reForge's and Classic's: the shell has a schedule too, which samplers are made from."""

    def __init__(self, config, embedding):
        super().__init__(config, "model_sampling", embedding)
        self.real.manual_cast_dtype = None
        self.real.get_dtype = lambda: torch.float32
        self.alphas_cumprod = alphas_cumprod(BetaSchedule.SCALED_LINEAR).float()
        self.alphas_cumprod_original = self.alphas_cumprod
        self.cond_stage_model_empty_prompt = self.get_learned_conditioning([""])
        # What the shell of an ldm model looks like, although nothing calls it.
        self.model = SimpleNamespace(diffusion_model=self.real.diffusion_model)
        self.apply_model = None
