"""What CLIP's text encoders make of one prompt, with the layer that `clip_skip` asks for.

diffusers' own `encode_prompt` looks for layers where older versions of transformers had them, and lets
transformers put hooks on them that stay.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from animatediff_webui.core.errors import ParameterError

from .pipelines import Pipeline, TextEncoderConfig, Tokenizer, is_sdxl


@dataclass(frozen=True)
class TextEncoder:
    """A text encoder with its tokenizer; `is_normed`: its tokens are used after its last norm, as SD1.5's
    are, and SDXL's are not."""

    tokenizer: Tokenizer
    model: nn.Module
    is_normed: bool

    @property
    def transformer(self) -> nn.Module:
        """What has the layers: newer versions of transformers have one module less around it."""
        return getattr(self.model, "text_model", self.model)

    @property
    def layers(self) -> Sequence[nn.Module]:
        """From the first to the last."""
        return cast("Sequence[nn.Module]", self.transformer.get_submodule("encoder.layers"))

    @property
    def max_tokens(self) -> int:
        """How many tokens go in at once, those at the two ends included."""
        config = cast("TextEncoderConfig", self.model.config)
        return min(self.tokenizer.model_max_length, config.max_position_embeddings)

    @property
    def max_clip_skip(self) -> int:
        """The most layers that can be skipped: SDXL's own default is one before the last."""
        return len(self.layers) if self.is_normed else len(self.layers) - 1

    def encode(self, text: str, clip_skip: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """A chunk of text's tokens `n c`, and what the model itself returns: SDXL's second one pools, `c`."""
        tokens = self.tokenizer(
            text, padding="max_length", max_length=self.max_tokens, truncation=True, return_tensors="pt"
        )
        takes_mask = getattr(self.model.config, "use_attention_mask", False)
        mask = tokens.attention_mask.to(device) if takes_mask else None
        from_the_end = clip_skip if self.is_normed else clip_skip + 1
        with captured(self.layers[-from_the_end]) as outputs:
            result = cast("torch.Tensor", self.model(tokens.input_ids.to(device), attention_mask=mask)[0])
        hidden = outputs[0]
        if self.is_normed:
            hidden = cast("torch.Tensor", self.transformer.get_submodule("final_layer_norm")(hidden))
        return hidden[0], result[0]


def text_encoders(pipeline: Pipeline) -> tuple[TextEncoder, ...]:
    """SD1.5's text encoder, or SDXL's two."""
    ends = ("", "_2") if is_sdxl(pipeline) else ("",)
    return tuple(
        TextEncoder(
            getattr(pipeline, f"tokenizer{end}"),
            getattr(pipeline, f"text_encoder{end}"),
            is_normed=len(ends) == 1,
        )
        for end in ends
    )


def check_clip_skip(encoders: Sequence[TextEncoder], clip_skip: int) -> None:
    """Raise ParameterError unless all have a layer that far from the end."""
    most = min(encoder.max_clip_skip for encoder in encoders)
    if clip_skip > most:
        raise ParameterError(
            f"clip_skip is {clip_skip}, but this checkpoint's text encoder has layers for 1 to {most}: "
            "choose one of these."
        )


@contextmanager
def captured(layer: nn.Module) -> Generator[list[torch.Tensor], None, None]:
    """Inside, what a layer puts out is noted in the list."""
    outputs: list[torch.Tensor] = []

    def note(_layer: nn.Module, _inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hook = layer.register_forward_hook(note)
    try:
        yield outputs
    finally:
        hook.remove()
