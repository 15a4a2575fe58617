def apply_alpha_schedule_override(sd_model, p=None):
    sd_model.alphas_cumprod = sd_model.alphas_cumprod_original.clone()
