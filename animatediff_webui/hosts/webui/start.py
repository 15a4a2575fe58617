"""What a clip starts from: the first draw of noise, FreeInit's passes, and in img2img the pictures' latents.

The host draws noise from `p.rng` and reads `p.init_latent` inside `p.sample`; both are attributes of the
request's own object, and are replaced there for the time of one call.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from modules import devices, images, sd_samplers, sd_samplers_common, shared
from PIL import Image

from animatediff_webui.core.freeinit import SamplingPass
from animatediff_webui.core.latents import blended_init
from animatediff_webui.core.parameters import InitImage
from animatediff_webui.start_noise import start_noise

from .host_types import (
    ImageRequest,
    LatentRequest,
    NoiseGenerator,
    Request,
    Sampler,
    has_hires_fix,
    is_image_request,
    starts_from_latents,
)
from .patches import replaced, wrapped

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan
    from motion_module.control import FrameValues

_CROP, _FILL = 1, 2  # the resize modes that cut off, and that fill up, what does not fit
_LATENT_RESIZE = 3  # the resize mode that stretches latents instead of pictures

Change = Callable[[torch.Tensor], torch.Tensor]


class FirstDraw:
    """The host's generator, with its first draw of noise passed through `change`."""

    def __init__(self, generator: NoiseGenerator, change: Change) -> None:
        self._generator, self._change, self._is_first = generator, change, True

    def next(self) -> torch.Tensor:
        noise = self._generator.next()
        if self._is_first:
            self._is_first = False
            return self._change(noise)
        return noise

    def __getattr__(self, name: str) -> object:
        """Other extensions may ask for the generator's seeds or shape."""
        return getattr(self._generator, name)


def enter_start(
    stack: ExitStack, p: Request, plan: Plan, frames: Sequence[Image.Image], weights: FrameValues | None
) -> None:
    """Let the request start as the clip does, until the stack is closed.

    `frames` are the pictures that the frames of a txt2img request start from, if there are any; img2img has
    its own. `weights` are the plan's `noise_weight`, with masks read.
    """
    if is_image_request(p):
        # The host made its sampler before there was a schedule to make it from.
        sampler = sd_samplers.create_sampler(p.sampler_name, shared.sd_model)
        stack.enter_context(replaced(p, "sampler", sampler))
        init = _clip_latents(p, plan.parameters.init)
        stack.enter_context(replaced(p, "init_latent", init))
    elif frames:
        stack.enter_context(replaced(p, "init_latent", _encoded_frames(p, frames)))
        stack.enter_context(wrapped(sd_samplers, "create_sampler", _making_img2img_samplers))
    change = partial(start_noise, plan, int(p.seeds[0]), weights)
    stack.enter_context(replaced(p, "rng", FirstDraw(p.rng, change)))


def picture_latent(p: Request, picture: Image.Image | None) -> torch.Tensor | None:
    """The latent `1 c h w` of the picture that motion modules animate, None where there is none.

    Where none is given, it is img2img's first.
    """
    if picture is None:
        return p.init_latent[:1] if starts_from_latents(p) else None
    if is_image_request(p):
        with _own_generator(p):
            return _encoded_as_first(p, picture)
    return _encoded_frames(p, [picture.convert("RGB")])


def sample_pass(p: Request, sampling: SamplingPass, sample: Callable[[], torch.Tensor]) -> torch.Tensor:
    """One of FreeInit's passes by the host's own `p.sample`; only the last one goes on to hires fix."""
    image = p if starts_from_latents(p) else None

    def start(noise: torch.Tensor) -> torch.Tensor:
        return sampling.start_noise(noise, over_latents=image is not None)

    with ExitStack() as stack:
        stack.enter_context(replaced(p, "rng", FirstDraw(p.rng, start)))
        stack.enter_context(replaced(p, "steps", sampling.num_steps))
        if has_hires_fix(p) and not sampling.is_last:
            stack.enter_context(replaced(p, "enable_hr", False))
        if image is not None and sampling.before is not None:
            init = _unchanged_outside(image, image.init_latent, sampling.start_latents(image.init_latent))
            stack.enter_context(replaced(p, "init_latent", init))
        return sample()


def _making_img2img_samplers(create_sampler: Callable[..., Sampler]) -> Callable[..., Sampler]:
    """The host's function, whose samplers sample as img2img's do in txt2img too.

    They are made by a function of one of the host's modules in the middle of txt2img's `sample`, which leaves
    no other place to come in between.
    """

    def create(*args: object, **kwargs: object) -> Sampler:
        sampler = create_sampler(*args, **kwargs)

        def sample(p: LatentRequest, x: torch.Tensor, *conds: object, **others: object) -> torch.Tensor:
            return sampler.sample_img2img(p, p.init_latent, x, *conds, **others)

        sampler.sample = sample
        return sampler

    return create


def _encoded_frames(p: Request, frames: Sequence[Image.Image]) -> torch.Tensor:
    """The latents `f c h w` of pictures that fill the request's size, cropped where they do not fit."""
    with _own_generator(p):
        latents = [_encoded(images.resize_image(_CROP, frame, p.width, p.height)) for frame in frames]
    return torch.cat(latents)


@contextmanager
def _own_generator(p: Request) -> Generator[None, None, None]:
    """Inside, torch's own generator, which the VAE draws from, starts from the request's seed."""
    with torch.random.fork_rng():  # pyright: ignore[reportUnknownMemberType]: untyped
        torch.manual_seed(int(p.seeds[0]))  # pyright: ignore[reportUnknownMemberType]: untyped
        yield


def _clip_latents(p: ImageRequest, settings: InitImage) -> torch.Tensor:
    """The latents that the clip starts from; of several pictures, each is a frame as it is."""
    if len(p.init_images) > 1:
        return p.init_latent
    # In this order: drawing noise sets the seed of torch's own generator, which the VAE draws from.
    last = None if settings.last_frame is None else _encoded_as_first(p, settings.last_frame)
    noise = p.rng.next()
    return _unchanged_outside(p, p.init_latent, blended_init(p.init_latent, noise, settings, last))


def _unchanged_outside(p: LatentRequest, init: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """`changed` where inpainting may change the picture, `init` elsewhere: whole in every frame."""
    if not is_image_request(p) or p.mask is None:
        return changed
    return init * (1 - p.nmask) + changed * p.nmask


def _encoded_as_first(p: ImageRequest, image: Image.Image) -> torch.Tensor:
    """A picture's latent `1 c h w`, treated as the host treats the first picture."""
    image = images.flatten(image, shared.opts.img2img_background_color)
    if p.paste_to is not None:  # "only masked": the same cut-out
        x, y, width, height = p.paste_to
        image = images.resize_image(p.resize_mode, image, *p.init_images[0].size)
        image = images.resize_image(_FILL, image.crop((x, y, x + width, y + height)), p.width, p.height)
    elif p.resize_mode != _LATENT_RESIZE:
        image = images.resize_image(p.resize_mode, image, p.width, p.height)
    latent = _encoded(image)
    if latent.shape[-2:] != p.init_latent.shape[-2:]:
        latent = torch.nn.functional.interpolate(latent, size=p.init_latent.shape[-2:], mode="bilinear")
    return latent.to(p.init_latent)


def _encoded(image: Image.Image) -> torch.Tensor:
    """The latent `1 c h w` of an RGB picture in the request's size."""
    array = np.array(image).astype(np.float32) / 255
    pixels = torch.tensor(array).permute(2, 0, 1)[None]
    method = sd_samplers_common.approximation_indexes.get(shared.opts.sd_vae_encode_method)
    pixels = pixels.to(shared.device, dtype=devices.dtype_vae)
    return sd_samplers_common.images_tensor_to_samples(pixels, method, shared.sd_model)
