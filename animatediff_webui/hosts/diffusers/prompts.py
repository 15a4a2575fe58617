"""From a track's prompts to what the text encoders make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from animatediff_webui.core.parameters import Blending
from animatediff_webui.core.prompt_travel import PromptTrack, pad_embeddings

from .sampling import Conditioning

# Pipelines, tokenizers and text encoders are diffusers' and transformers', with few types of their own: Any.


@torch.inference_mode()
def encode_tracks(
    pipeline: Any, tracks: Sequence[PromptTrack], *, how: Blending, clip_skip: int, device: torch.device
) -> list[Conditioning]:
    """A conditioning per track, all with the same number of tokens; every distinct prompt is encoded once."""
    texts = list(dict.fromkeys(["", *(prompt for track in tracks for prompt in track.prompts)]))
    encoded = {text: _encode(pipeline, text, clip_skip, device) for text in texts}
    longest = max(len(tokens) for tokens, _ in encoded.values())
    empty, _ = encoded[""]
    padding = empty.repeat(longest // len(empty), 1)
    found: list[Conditioning] = []
    for track in tracks:
        tokens = pad_embeddings([padding, *(encoded[text][0] for text in track.prompts)], empty)[1:]
        pooled = [vector for text in track.prompts if (vector := encoded[text][1]) is not None]
        found.append(Conditioning(track, tokens, torch.stack(pooled) if pooled else None, how))
    return found


def _encode(
    pipeline: Any, text: str, clip_skip: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """One prompt's tokens `n c`, and SDXL's pooled vector `c` of its first chunk."""
    skip = None if clip_skip == 1 else clip_skip - 1
    tokens: list[torch.Tensor] = []
    pooled: torch.Tensor | None = None
    for chunk in split_prompt(pipeline.tokenizer, text):
        made = pipeline.encode_prompt(chunk, device=device, num_images_per_prompt=1,
                                      do_classifier_free_guidance=False, clip_skip=skip)  # fmt: skip
        tokens.append(made[0][0].float().cpu())
        if len(made) == 4 and pooled is None:
            pooled = made[2][0].float().cpu()
    return torch.cat(tokens), pooled


def split_prompt(tokenizer: Any, text: str) -> list[str]:
    """`text` in pieces that each fit the text encoder, split at commas where possible, else at words."""
    limit = tokenizer.model_max_length - 2
    chunks, current = [], ""
    for piece in _pieces(tokenizer, text, limit):
        if current and _num_tokens(tokenizer, current + piece) > limit:
            chunks.append(current)
            current = piece.lstrip(" ,")
        else:
            current += piece
    return [*chunks, current]


def _pieces(tokenizer: Any, text: str, limit: int) -> list[str]:
    if _num_tokens(tokenizer, text) <= limit:
        return [text]
    pieces: list[str] = []
    for index, part in enumerate(text.split(",")):
        part = part if index == 0 else "," + part
        if _num_tokens(tokenizer, part) <= limit:
            pieces.append(part)
        else:
            pieces += [word if place == 0 else " " + word for place, word in enumerate(part.split(" "))]
    return pieces


def _num_tokens(tokenizer: Any, text: str) -> int:
    return len(tokenizer.tokenize(text))
