"""What models give, or fail to: whether it is numbers, as frames of anything else would be black, and said to
be fine; and that there was not enough memory for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

from animatediff_webui.core.errors import UserError

from .files import one_line


class NotFiniteError(UserError):
    """A model gave infinite numbers, or none; the message names the usual cause."""


class NotEnoughMemoryError(UserError):
    """There is not as much memory as a model needs; the message says what needs less."""


@contextmanager
def memory_explained() -> Generator[None, None, None]:
    """Inside, what is raised for want of memory is a NotEnoughMemoryError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = one_line(error)
        is_short = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        # PyTorch has no class of its own for the CPU's memory, and for Apple's.
        if not is_short and not any(words in reason for words in _WITHOUT_CLASS):
            raise
        raise NotEnoughMemoryError(
            f"There is not enough memory ({reason.split('. ')[0]}): ask for smaller frames or a smaller "
            "batch_size, or for offload and vae_tiling."
        ) from error


_WITHOUT_CLASS = ("can't allocate memory", "not enough memory", "out of memory")


def check_finite(tensor: torch.Tensor, found: str, advice: str) -> None:
    """Raise NotFiniteError unless all of a tensor are finite numbers. `found` goes before "that are not"."""
    if not bool(torch.isfinite(tensor).all()):
        raise NotFiniteError(f"{found} that are not finite, which would be black: {advice}.")
