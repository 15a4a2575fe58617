"""FreeInit (Wu et al., arXiv 2312.07537): sample, keep the result's low frequencies as noise, sample again.

Frequencies are in units of the highest one an axis can hold, so 0 is the mean and 1 the finest detail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .parameters import FilterKind

_AXES = (-4, -2, -1)
# torch publishes no types for these two.
_forward: Callable[..., torch.Tensor] = torch.fft.fftn  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
_backward: Callable[..., torch.Tensor] = torch.fft.ifftn  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
BUTTERWORTH_ORDER = 4


def low_pass_filter(
    size: Sequence[int], kind: FilterKind, spatial_stop: float, temporal_stop: float
) -> torch.Tensor:
    """How much of each frequency passes, `(f 1 h w)`, in the order of `torch.fft.fftn` over f, h and w.

    With the distance d^2 = (t * spatial_stop / temporal_stop)^2 + y^2 + x^2 of frequency (t, y, x) and
    s = spatial_stop: butterworth 1 / (1 + (d / s)^8), gaussian exp(-d^2 / (2 s^2)), ideal 1 up to d = s,
    box 1 where t <= temporal_stop and y, x <= spatial_stop. A stop frequency of 0 passes nothing. (The
    authors' own code compares d^2 with 2 s for "ideal"; here it is the stop frequency, as for the others.)
    """
    num_frames, height, width = size
    if not spatial_stop or not temporal_stop:
        return torch.zeros(num_frames, 1, height, width)
    t, y, x = (_frequencies(length) for length in (num_frames, height, width))
    t, y, x = t[:, None, None, None], y[:, None], x
    if kind == "box":
        return ((t <= temporal_stop) & (y <= spatial_stop) & (x <= spatial_stop)).float()
    squared = ((t * spatial_stop / temporal_stop) ** 2 + y**2 + x**2) / spatial_stop**2
    return _FALLOFF[kind](squared).float()


def mix_frequencies(low: torch.Tensor, high: torch.Tensor, pass_filter: torch.Tensor) -> torch.Tensor:
    """The low frequencies of one and the high ones of the other, both `... f c h w`.

    Filtering is linear, so low * F + high * (1 - F) is high + (low - high) * F: one transform is enough.
    """
    difference = low.float() - high.float()
    passed = _backward(_forward(difference, dim=_AXES) * pass_filter.to(low.device), dim=_AXES).real
    return (high.float() + passed).to(low.dtype)


def diffuse(latents: torch.Tensor, noise: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
    """A clean clip as it is at the timestep with this cumulative alpha: sqrt(a) x + sqrt(1 - a) noise."""
    return alpha_cumprod**0.5 * latents + (1 - alpha_cumprod) ** 0.5 * noise


def reinitialized_noise(
    latents: torch.Tensor,
    noise: torch.Tensor,
    fresh_noise: torch.Tensor,
    pass_filter: torch.Tensor,
    alpha_cumprod: float,
) -> torch.Tensor:
    """What the next iteration starts from, `... f c h w`, in units of noise.

    `latents` is the clip just sampled, `noise` what the first iteration started from, the same in every
    iteration, and `alpha_cumprod` that of the last timestep.
    """
    return mix_frequencies(diffuse(latents, noise, alpha_cumprod), fresh_noise, pass_filter)


def _frequencies(length: int) -> torch.Tensor:
    """How fast each Fourier coefficient of an axis oscillates, 1 being once in two samples."""
    index = torch.arange(length, dtype=torch.float64)
    return 2 * torch.minimum(index, length - index) / length


_FALLOFF: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "butterworth": lambda squared: 1 / (1 + squared**BUTTERWORTH_ORDER),
    "gaussian": lambda squared: torch.exp(-squared / 2),
    "ideal": lambda squared: (squared <= 1).double(),
}
