"""Networks that make frames in between, as small as they can be."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

FILM = "film_net_fp32.pt"


class Fading(torch.nn.Module):
    """FILM's signature: the pictures in the right shares, and no more."""

    def forward(self, x0: torch.Tensor, x1: torch.Tensor, batch_dt: torch.Tensor) -> torch.Tensor:
        assert x0.shape[2] % 64 == 0
        assert x0.shape[3] % 64 == 0
        share = batch_dt[:, :, None, None]
        return x0 * (1 - share) + x1 * share


def write_network(folder: Path, network: type[torch.nn.Module] = Fading) -> None:
    """Write FILM's file into `folder`."""
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network()).save(str(folder / FILM))
