"""The layout of the model's calls: cond rows, frame by frame with all parts of a frame, then uncond rows."""

import torch

from modules import prompt_parser, sd_samplers_common, shared
from modules.shared import state


def _cat(conds):
    if isinstance(conds[0], dict):
        return {key: torch.cat([cond[key] for cond in conds]) for key in conds[0]}
    return torch.cat(conds)


def _rows(cond, a, b):
    return {key: value[a:b] for key, value in cond.items()} if isinstance(cond, dict) else cond[a:b]


def _cond_dict(cond, image_cond):
    named = dict(cond) if isinstance(cond, dict) else {"c_crossattn": [cond]}
    return {**named, "c_concat": [image_cond]}


class CFGDenoiser(torch.nn.Module):
    def __init__(self, sampler):
        super().__init__()
        self.sampler, self.p = sampler, None
        self.step, self.steps, self.total_steps = 0, None, None
        self.mask = self.nmask = self.init_latent = None
        self.alphas = getattr(shared.sd_model, "alphas_cumprod", None)

    def _apply_model(self, x, sigma, cond):
        return shared.sd_model.apply_model(x, sigma, cond=cond)

    def update_inner_model(self):
        c, uc = self.p.get_conds()
        self.sampler.sampler_extra_args["cond"], self.sampler.sampler_extra_args["uncond"] = c, uc

    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond):
        if state.interrupted or state.skipped:
            raise sd_samplers_common.InterruptedException
        if self.p.refiner is not None and self.step == self.p.refiner[0]:
            shared.sd_model = self.p.refiner[1]
            self.p.setup_conds()
            self.update_inner_model()
            cond, uncond = self.sampler.sampler_extra_args["cond"], self.sampler.sampler_extra_args["uncond"]
        conds_list, tensor = prompt_parser.reconstruct_multicond_batch(cond, self.step)
        if hasattr(shared.sd_model, "forge_objects"):
            return self._forked(x, sigma, uncond, tensor, cond_scale, conds_list)
        uncond = prompt_parser.reconstruct_cond_batch(uncond, self.step)
        batch_size, repeats = len(conds_list), [len(conds) for conds in conds_list]

        def repeated(values):
            return torch.cat([torch.stack([values[i]] * n) for i, n in enumerate(repeats)] + [values])

        x_in, sigma_in, image_cond_in = repeated(x), repeated(sigma), repeated(image_cond)
        skip_uncond = bool(self.step % 2 and s_min_uncond > 0 and sigma[0] < s_min_uncond)
        if skip_uncond:
            x_in, sigma_in = x_in[:-batch_size], sigma_in[:-batch_size]
        if tensor.shape[1] == uncond.shape[1] or skip_uncond:
            cond_in = tensor if skip_uncond else _cat([tensor, uncond])
            size = len(x_in) if shared.opts.batch_cond_uncond else batch_size
            parts = [(a, min(a + size, len(x_in)), cond_in, a) for a in range(0, len(x_in), size)]
        else:
            size = batch_size * 2 if shared.opts.batch_cond_uncond else batch_size
            count = len(tensor) if not isinstance(tensor, dict) else len(tensor["crossattn"])
            parts = [(a, min(a + size, count), tensor, a) for a in range(0, count, size)]
            parts.append((count, count + batch_size, uncond, 0))
        x_out = torch.zeros_like(x_in)
        for a, b, rows, start in parts:
            # A whole call gets the whole image conditioning, even where the latents lack the uncond part.
            image_rows = image_cond_in if (a, b) == (0, len(x_in)) else image_cond_in[a:b]
            x_out[a:b] = self._apply_model(
                x_in[a:b], sigma_in[a:b], _cond_dict(_rows(rows, start, start + b - a), image_rows)
            )
        if skip_uncond:
            x_out = torch.cat([x_out, torch.cat([x_out[conds[0][0]][None] for conds in conds_list])])
        denoised_uncond = x_out[-batch_size:]
        denoised = denoised_uncond.clone()
        for i, conds in enumerate(conds_list):
            for cond_index, weight in conds:
                scale = weight * (1.0 if skip_uncond else cond_scale)
                denoised[i] += (x_out[cond_index] - denoised_uncond[i]) * scale
        if self.mask is not None:
            denoised = self.init_latent * self.mask + self.nmask * denoised
        self.sampler.last_latent = denoised
        self.step += 1
        return denoised

    def _forked(self, x, sigma, uncond, cond, cond_scale, conds_list):
        """As the forks do it."""
        from backend.sampling_function import sampling_function

        if uncond is not None:
            uncond = prompt_parser.reconstruct_cond_batch(uncond, self.step)
        denoised = sampling_function(shared.sd_model, x, sigma, uncond, cond, cond_scale, conds_list)
        if self.mask is not None:
            denoised = self.init_latent * self.mask + self.nmask * denoised
        self.sampler.last_latent = denoised
        self.step += 1
        return denoised
