from modules import shared


def apply_alpha_schedule_override(sd_model, p=None):
    if not hasattr(sd_model, "alphas_cumprod") or not hasattr(sd_model, "alphas_cumprod_original"):
        return
    sd_model.alphas_cumprod = sd_model.alphas_cumprod_original.to(shared.device)
    if shared.opts.use_downcasted_alpha_bar:
        sd_model.alphas_cumprod = sd_model.alphas_cumprod.half()


class SdModelData:
    def __init__(self):
        self.sd_model = None


model_data = SdModelData()


def get_closet_checkpoint_match(search_string):
    return None
