"""Whether what came out are numbers: frames of anything else would be black, and said to be fine."""

from __future__ import annotations

import torch

from animatediff_webui.core.errors import UserError


class NotFiniteError(UserError):
    """A model gave infinite numbers, or none; the message names the usual cause."""


def check_finite(tensor: torch.Tensor, found: str, advice: str) -> None:
    """Raise NotFiniteError unless all of a tensor are finite numbers. `found` goes before "that are not"."""
    if not bool(torch.isfinite(tensor).all()):
        raise NotFiniteError(f"{found} that are not finite, which would be black: {advice}.")
