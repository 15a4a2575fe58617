"""A host's autocast must not choose the precision: layers run in the dtype that they were loaded in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

DEVICES = ("cuda", "cpu", "xpu")


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Inside, nothing is cast."""
    return torch.autocast(device.type, enabled=False) if device.type in DEVICES else nullcontext()
