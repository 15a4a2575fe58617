"""How the forks call a model: a part of a prompt is a batch of its own, the negative prompt comes first."""

import torch

from backend import memory_management


def sampling_prepare(unet, x):
    unet_inference_memory = unet.memory_required([len(x) * 2, *x.shape[1:]])
    extra = unet.extra_model_patchers_during_sampling
    if unet.controlnet_linked_list is not None:
        extra += [unet.controlnet_linked_list]  # into the patcher's own list, as the host does it
    models = [unet, *(each for each in extra if each is not unet.controlnet_linked_list)]
    memory_management.load_models_gpu(models, unet_inference_memory)


def compile_weighted_conditions(cond, weights):
    """Each part: the rows of all pictures, and the weight that the last picture has."""
    parts = []
    for indices in zip(*weights, strict=True):
        rows = [index for index, _ in indices]
        taken = {key: value[rows] for key, value in cond.items()} if isinstance(cond, dict) else cond[rows]
        parts.append({"cond": taken, "strength": indices[-1][1]})
    return parts


def _model_conds(cond):
    return (
        {"c_crossattn": cond["crossattn"], "y": cond["vector"]}
        if isinstance(cond, dict)
        else {"c_crossattn": cond}
    )


def _cat(conds):
    longest = max(each["c_crossattn"].shape[1] for each in conds)
    out = {key: [each[key] for each in conds] for key in conds[0]}
    out["c_crossattn"] = [each.repeat(1, longest // each.shape[1], 1) for each in out["c_crossattn"]]
    return {key: torch.cat(values) for key, values in out.items()}


def calc_cond_uncond_batch(patcher, cond, uncond, x, sigma):
    """The predictions for prompt and negative prompt; `uncond` is None where it has no effect."""
    to_run = [(part["cond"], part.get("mask", torch.ones(1, 1, 1)) * part["strength"], 0) for part in cond]
    to_run += [(uncond, torch.ones(1, 1, 1), 1)] if uncond is not None else []
    to_run.reverse()
    kinds = [kind for _, _, kind in to_run]
    size = len(x)
    options = {
        **patcher.model_options["transformer_options"],
        "cond_or_uncond": kinds,
        "sigmas": sigma,
        "cond_mark": torch.tensor([float(kind) for kind in kinds for _ in range(size)]),
        "cond_indices": [i for i in range(len(kinds) * size) if not kinds[i // size]],
        "uncond_indices": [i for i in range(len(kinds) * size) if kinds[i // size]],
    }
    patcher.model.memory_required([size * len(kinds), *x.shape[1:]])
    c = {**_cat([_model_conds(part) for part, _, _ in to_run]), "transformer_options": options}
    x_in, sigma_in = torch.cat([x] * len(kinds)), torch.cat([sigma] * len(kinds))
    control = patcher.controlnet_linked_list
    if control is not None:
        control.transformer_options = options
        c["control"] = control.get_control(x_in, sigma_in, c.copy(), len(kinds))
    wrapper = patcher.model_options.get("model_function_wrapper")
    if wrapper is not None:
        args = {"input": x_in, "timestep": sigma_in, "c": c, "cond_or_uncond": kinds}
        outputs = wrapper(patcher.model.apply_model, args).chunk(len(kinds))
    else:
        outputs = patcher.model.apply_model(x_in, sigma_in, **c).chunk(len(kinds))
    pairs = [
        (output, mult.unsqueeze(1), kind) for output, (_, mult, kind) in zip(outputs, to_run, strict=True)
    ]
    total = sum(mult for _, mult, kind in pairs if not kind) + 1e-37
    denoised = sum(output * mult for output, mult, kind in pairs if not kind) / total
    others = [output for output, _, kind in pairs if kind]
    return denoised, (others[0] if others else torch.zeros_like(denoised))


def sampling_function(sd_model, x, sigma, uncond, cond, cond_scale, weights):
    patcher = sd_model.forge_objects.unet
    if cond_scale == 1.0:
        uncond = None
    parts = compile_weighted_conditions(cond, weights)
    options = patcher.model_options
    for modifier in patcher.model_options.get("conditioning_modifiers", []):
        values = patcher.model, x, sigma, uncond, parts, cond_scale, options, 0
        _, x, sigma, uncond, parts, cond_scale, options, _ = modifier(*values)
    strength = sum(part["strength"] for part in parts)
    prompt, negative = calc_cond_uncond_batch(patcher, parts, uncond, x, sigma)
    denoised = negative + (prompt - negative) * cond_scale * strength
    for change in options.get("sampler_post_cfg_function", []):
        told = {"cond_denoised": prompt, "uncond_denoised": negative, "input": x, "sigma": sigma}
        denoised = change({"denoised": denoised, **told})
    return denoised
