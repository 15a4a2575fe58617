"""What a clip starts from in the WebUI: the first draw of noise, img2img's latents, and FreeInit's passes.

The host draws noise from `p.rng` and reads `p.init_latent` inside `p.sample`; both are attributes of the
request's own object, and are replaced there for the time of one call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from animatediff_webui.core.freeinit import diffuse, low_pass_filter, mix_frequencies
from animatediff_webui.core.latents import blend_latents, init_alphas, init_and_last_alphas
from animatediff_webui.core.noise import free_noise_order
from animatediff_webui.core.parameters import InitImage
from animatediff_webui.core.plan import Plan

from .patches import replaced


class FirstDraw:
    """The host's generator, with its first draw of noise passed through `change`."""

    def __init__(self, generator: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._generator, self._change, self._is_first = generator, change, True

    def next(self) -> torch.Tensor:
        noise = self._generator.next()
        if self._is_first:
            self._is_first = False
            return self._change(noise)
        return noise

    def __getattr__(self, name: str) -> Any:
        """Other extensions may ask for the generator's seeds or shape. (Any: the host's object.)"""
        return getattr(self._generator, name)


def shuffled_noise(plan: Plan, seed: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """FreeNoise: the frames' noise, in its order; unchanged where it is off or the clip is one window."""
    layout = plan.layout
    if not plan.parameters.freenoise or layout.is_single:
        return lambda noise: noise
    order = free_noise_order(plan.num_frames, layout.window_size, layout.window_size - layout.overlap, seed)
    return lambda noise: noise[list(order)]


def blended_init(
    init: torch.Tensor,
    noise: torch.Tensor,
    settings: InitImage,
    last: torch.Tensor | None = None,
    changed: torch.Tensor | None = None,
) -> torch.Tensor:
    """img2img's latents: the first picture's share falls, and the last one's rises, over the frames.

    `changed` is 1 where inpainting may change the picture; elsewhere the picture stays whole in every frame.
    """
    num_frames = len(init)
    if last is None:
        blended = blend_latents(noise, init, init_alphas(num_frames, settings.power, settings.scale))
    else:
        alphas, last_alphas = init_and_last_alphas(
            num_frames, settings.power, settings.scale, settings.last_power, settings.last_scale
        )
        blended = blend_latents(noise, init, alphas, last, last_alphas)
    return blended if changed is None else init * (1 - changed) + blended * changed


class FreeInitPasses:
    """Samples several times, each pass keeping the low frequencies of the one before.

    `sample` runs the host's `p.sample` once on `p`, the request; `changed` is where inpainting may change the
    picture. Where hires fix is on, only the last pass goes on to it.
    """

    def __init__(
        self, p: Any, plan: Plan, sample: Callable[[], Any], changed: torch.Tensor | None = None
    ) -> None:
        self.p, self.plan, self.sample, self.changed = p, plan, sample, changed
        self.noise = torch.empty(0)

    def run(self, alpha_cumprod: Callable[[], float], is_stopped: Callable[[], bool]) -> Any:
        """The samples of the last pass; `alpha_cumprod` gives that of the last timestep."""
        generator, latents = self.p.rng, None
        steps = self.plan.steps_per_iteration(self.p.steps)
        for index, num_steps in enumerate(steps):
            change = self._remembered if latents is None else self._mixing(latents, alpha_cumprod())
            with ExitStack() as stack:
                stack.enter_context(replaced(self.p, "rng", FirstDraw(generator, change)))
                stack.enter_context(replaced(self.p, "steps", num_steps))
                if index < len(steps) - 1 and getattr(self.p, "enable_hr", False):
                    stack.enter_context(replaced(self.p, "enable_hr", False))
                if latents is not None and self._init is not None:
                    stack.enter_context(replaced(self.p, "init_latent", self._mixed_init(latents)))
                latents = self.sample()
            if is_stopped():
                break
        return latents

    @property
    def _init(self) -> torch.Tensor | None:
        return getattr(self.p, "init_latent", None)

    def _remembered(self, noise: torch.Tensor) -> torch.Tensor:
        self.noise = noise
        return noise

    def _mixing(self, latents: torch.Tensor, alpha_cumprod: float) -> Callable[[torch.Tensor], torch.Tensor]:
        """What makes the next pass's noise from fresh noise.

        txt2img starts from noise alone, img2img from noise over its latents: where both of these take on the
        low frequencies of the last pass, so does their sum.
        """
        low = self.noise if self._init is not None else diffuse(latents, self.noise, alpha_cumprod)
        return lambda fresh: mix_frequencies(low.to(fresh), fresh, self._filter(fresh))

    def _mixed_init(self, latents: torch.Tensor) -> torch.Tensor:
        assert self._init is not None
        mixed = mix_frequencies(latents.to(self._init), self._init, self._filter(latents))
        return mixed if self.changed is None else self._init * (1 - self.changed) + mixed * self.changed

    def _filter(self, like: torch.Tensor) -> torch.Tensor:
        settings = self.plan.parameters.freeinit
        size = (like.shape[0], *like.shape[-2:])
        return low_pass_filter(size, settings.filter, settings.spatial_stop, settings.temporal_stop)
