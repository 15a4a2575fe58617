"""What a host puts onto its device, whole or part by part."""

from __future__ import annotations

from torch import nn


class Placeable(nn.Module):
    """Weights of ours that run beside a UNet's own."""

    def running_parts(self) -> list[nn.Module]:
        """Those that run one after the other, whose first argument tells where."""
        raise NotImplementedError
