"""The latent code the embedded VAE is trained to have: what a cell of 8x8 pixels looks like on average.

Three of the four channels are a whitened linear map of the cell's mean colour, the fourth is the contrast
inside the cell. The code moves with the picture, a cell at a time, and needs no encoder to be computed: so
the image and motion stages can train before the VAE does, and a latent-to-RGB preview is one matrix.
"""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d

CELL = 8
SCALING_FACTOR = 0.18215
LUMA = (0.299, 0.587, 0.114)


def measure_cells(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (b, 3, h, w) in 0..1 -> cells (b, 4, h/8, w/8): mean colour, and contrast."""
    mean = avg_pool2d(pictures, CELL)
    luma = (pictures * torch.tensor(LUMA)[None, :, None, None]).sum(1, keepdim=True)
    variance = (avg_pool2d(luma * luma, CELL) - avg_pool2d(luma, CELL) ** 2).clamp(min=0)
    chroma = pictures[:, :1] - pictures[:, 2:3]
    chroma_variance = (avg_pool2d(chroma * chroma, CELL) - avg_pool2d(chroma, CELL) ** 2).clamp(min=0)
    return torch.cat([mean, (variance + 0.25 * chroma_variance + 1e-6).sqrt()], 1)


class LatentCode(torch.nn.Module):
    """Cells <-> latents of zero mean and unit variance, fitted on drawn pictures."""

    mean: torch.Tensor
    whiten: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("whiten", torch.eye(4))

    def fit(self, pictures: torch.Tensor) -> LatentCode:
        """Whiten the mean colours by their covariance (symmetric square root), scale the contrast alone."""
        cells = measure_cells(pictures).permute(1, 0, 2, 3).flatten(1)
        self.mean.copy_(cells.mean(1))
        values, vectors = torch.linalg.eigh(torch.cov(cells[:3]))
        self.whiten.zero_()
        self.whiten[:3, :3] = vectors @ torch.diag(values.rsqrt()) @ vectors.T
        self.whiten[3, 3] = 1 / cells[3].std()
        return self

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (b, 3, h, w) in 0..1 -> latents (b, 4, h/8, w/8), already times the scaling factor."""
        centered = measure_cells(pictures) - self.mean[None, :, None, None]
        return torch.einsum("dc,bchw->bdhw", self.whiten, centered)
