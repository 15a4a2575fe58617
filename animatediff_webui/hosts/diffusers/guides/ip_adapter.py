"""IP-Adapters (Ye et al., arXiv 2308.06721): pictures that say what prompts cannot, and travel like them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ..pipelines import Config
    from .settings import Network

StateDicts = Mapping[str, Mapping[str, Tensor]]
"""`image_proj` and `ip_adapter`, as diffusers takes them apart."""


class _UNet(Protocol):
    """What diffusers' UNet offers for it; `_load_ip_adapter_weights` is what its pipelines call, which also
    take in the image encoder, and do not give back what was there."""

    config: Config
    attn_processors: Mapping[str, object]
    encoder_hid_proj: nn.Module | None

    def _load_ip_adapter_weights(self, state_dicts: Sequence[StateDicts]) -> None: ...
    def set_attn_processor(self, processor: dict[str, object]) -> None: ...


@dataclass(frozen=True, eq=False)
class ImagePrompt:
    """One IP-Adapter's weights, and what its image encoder made of the pictures: for each frame `f ...`, and
    of none, `...`."""

    weights: StateDicts
    frames: Tensor
    negative: Tensor
    asked: Network

    def rows(self, frames: Sequence[int], num_groups: int) -> Tensor:
        """Of each row of a window's call, `(g f) 1 ...`, the negative prompt's first."""
        positive = self.frames[list(frames)]
        negative = self.negative.expand_as(positive)
        return torch.cat([*[negative] * (num_groups - 1), positive])[:, None]


@dataclass(frozen=True, eq=False)
class ImagePrompts:
    """All of a clip's."""

    prompts: tuple[ImagePrompt, ...]

    @contextmanager
    def loaded(self, unet: nn.Module) -> Generator[None, None, None]:
        """Inside, the UNet listens to pictures; afterwards it is what it was."""
        if not self.prompts:
            yield
            return
        inner = cast("_UNet", unet)
        processors, projection = dict(inner.attn_processors), inner.encoder_hid_proj
        kind = inner.config.get("encoder_hid_dim_type")
        try:
            inner._load_ip_adapter_weights([prompt.weights for prompt in self.prompts])  # pyright: ignore[reportPrivateUsage]
            yield
        finally:
            inner.encoder_hid_proj = projection  # first, as some have attentions of their own
            inner.set_attn_processor(dict(processors))
            cast("Any", inner.config).encoder_hid_dim_type = kind  # Any: as diffusers sets it

    def tell(self, unet: nn.Module, step: int, num_steps: int) -> None:
        """Let each act as strongly as it should in a step."""
        weights = [prompt.asked.weight_at(step, num_steps) for prompt in self.prompts]
        for processor in cast("_UNet", unet).attn_processors.values():
            if hasattr(processor, "to_k_ip"):
                cast("Any", processor).scale = list(weights)  # Any: of a class by PyTorch's version
