"""FreeInit (Wu et al., arXiv 2312.07537): sample, keep the result's low frequencies as noise, sample again.

Frequencies are in units of the highest one an axis can hold, so 0 is the mean and 1 the finest detail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    import torch

_AXES = (-4, -2, -1)
BUTTERWORTH_ORDER = 4


def low_pass_filter(
    size: Sequence[int], kind: str, spatial_stop: float, temporal_stop: float
) -> torch.Tensor:
    """How much of each frequency passes, `(f 1 h w)`, in the order of `torch.fft.fftn` over f, h and w.

    With the distance d^2 = (t * spatial_stop / temporal_stop)^2 + y^2 + x^2 of frequency (t, y, x) and
    s = spatial_stop: butterworth 1 / (1 + (d / s)^8), gaussian exp(-d^2 / (2 s^2)), ideal 1 up to d = s,
    box 1 where t <= temporal_stop and y, x <= spatial_stop. A stop frequency of 0 passes nothing. (The
    authors' own code compares d^2 with 2 s for "ideal"; here it is the stop frequency, as for the others.)
    """
    import torch  # here, because the table of filters is read by a command line that has no time for it

    num_frames, height, width = size
    if not spatial_stop or not temporal_stop:
        return torch.zeros(num_frames, 1, height, width)
    t = _frequencies(num_frames)[:, None, None, None]
    y, x = _frequencies(height)[:, None], _frequencies(width)
    return FILTERS[kind](Frequencies(t, y, x, spatial_stop, temporal_stop)).float()


def mix_frequencies(low: torch.Tensor, high: torch.Tensor, pass_filter: torch.Tensor) -> torch.Tensor:
    """The low frequencies of one and the high ones of the other, both `... f c h w`.

    Filtering is linear, so low * F + high * (1 - F) is high + (low - high) * F: one transform is enough.
    """
    import torch

    difference = low.float() - high.float()
    # torch publishes no types for its transforms.
    spectrum = cast("torch.Tensor", torch.fft.fftn(difference, dim=_AXES))  # pyright: ignore[reportUnknownMemberType]
    filtered = spectrum * pass_filter.to(low.device)
    passed = cast("torch.Tensor", torch.fft.ifftn(filtered, dim=_AXES))  # pyright: ignore[reportUnknownMemberType]
    return (high.float() + passed.real).to(low.dtype)


def diffuse(latents: torch.Tensor, noise: torch.Tensor, alpha_cumprod: float) -> torch.Tensor:
    """A clean clip as it is at the timestep with this cumulative alpha: sqrt(a) x + sqrt(1 - a) noise."""
    return alpha_cumprod**0.5 * latents + (1 - alpha_cumprod) ** 0.5 * noise


class FilterSettings(Protocol):
    """Which frequencies are low."""

    @property
    def filter(self) -> str: ...
    @property
    def spatial_stop(self) -> float: ...
    @property
    def temporal_stop(self) -> float: ...


@dataclass
class SamplingPass:
    """One of FreeInit's passes over a clip, or the only one.

    `settings` and `alpha_cumprod`, of the last timestep, say what the pass keeps of `before`: what the pass
    before it began from and ended with. `noise` is what this one begins from, once it has been drawn.
    """

    index: int
    num_steps: int
    is_last: bool
    settings: FilterSettings
    alpha_cumprod: Callable[[], float]
    before: Before | None = None
    noise: torch.Tensor | None = field(default=None, init=False)

    def start_noise(self, drawn: torch.Tensor, *, over_latents: bool = False) -> torch.Tensor:
        """The noise `f c h w` that this pass begins from, made of freshly drawn noise.

        `over_latents`: the noise is laid over latents that `start_latents` gives, as in img2img, rather than
        being all there is. Where both of these take on the low frequencies of the pass before, so does
        their sum.
        """
        if self.before is None:
            self.noise = drawn
            return drawn
        self.noise = self.before.noise
        low = self.noise if over_latents else diffuse(self.before.latents, self.noise, self.alpha_cumprod())
        return mix_frequencies(low.to(drawn), drawn, self._filter(drawn))

    def start_latents(self, init: torch.Tensor) -> torch.Tensor:
        """img2img's latents `f c h w` for this pass, made of those it was given."""
        if self.before is None:
            return init
        return mix_frequencies(self.before.latents.to(init), init, self._filter(self.before.latents))

    def _filter(self, like: torch.Tensor) -> torch.Tensor:
        size = (like.shape[0], *like.shape[-2:])
        settings = self.settings
        return low_pass_filter(size, settings.filter, settings.spatial_stop, settings.temporal_stop)


@dataclass(frozen=True)
class Before:
    """What a pass over a clip leaves for the next: the very first noise, and the latents it ended with."""

    noise: torch.Tensor
    latents: torch.Tensor


def sample_passes(
    steps_per_pass: Sequence[int],
    settings: FilterSettings,
    sample: Callable[[SamplingPass], torch.Tensor],
    *,
    alpha_cumprod: Callable[[], float],
    is_stopped: Callable[[], bool] = lambda: False,
) -> torch.Tensor:
    """The latents of the last pass over a clip.

    `sample` samples the clip once, beginning from `start_noise` of the pass it is given. `alpha_cumprod`
    gives that of the last timestep. After a stop there is no further pass.
    """
    before: Before | None = None
    for index, num_steps in enumerate(steps_per_pass):
        is_last = index == len(steps_per_pass) - 1
        sampling = SamplingPass(index, num_steps, is_last, settings, alpha_cumprod, before)
        latents = sample(sampling)
        if is_last or is_stopped() or sampling.noise is None:
            return latents
        before = Before(sampling.noise, latents)
    raise ValueError("Expected at least one pass, found none.")


def _frequencies(length: int) -> torch.Tensor:
    """How fast each Fourier coefficient of an axis oscillates, 1 being once in two samples."""
    import torch

    index = torch.arange(length, dtype=torch.float64)
    return 2 * torch.minimum(index, length - index) / length


class Frequencies(NamedTuple):
    """Of every coefficient, over frames `f 1 1 1`, height `h 1` and width `w`; and what counts as low."""

    t: torch.Tensor
    y: torch.Tensor
    x: torch.Tensor
    spatial_stop: float
    temporal_stop: float

    @property
    def squared_distance(self) -> torch.Tensor:
        """From frequency 0, in units of the stop frequencies."""
        t = self.t * self.spatial_stop / self.temporal_stop
        return (t**2 + self.y**2 + self.x**2) / self.spatial_stop**2


def _box(at: Frequencies) -> torch.Tensor:
    return (at.t <= at.temporal_stop) & (at.y <= at.spatial_stop) & (at.x <= at.spatial_stop)


FILTERS: Mapping[str, Callable[[Frequencies], torch.Tensor]] = {
    "butterworth": lambda at: 1 / (1 + at.squared_distance**BUTTERWORTH_ORDER),
    "gaussian": lambda at: (-at.squared_distance / 2).exp(),
    "ideal": lambda at: (at.squared_distance <= 1).double(),
    "box": _box,
}
