import torch

device: torch.device
dtype_unet: torch.dtype
dtype_vae: torch.dtype
