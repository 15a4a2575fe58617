"""From a track's prompts to what the text encoders make of them, and what each frame is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch

from animatediff_webui.core.prompt_travel import PromptTrack, blend_embeddings, pad_embeddings
from animatediff_webui.core.prompt_weights import WeightedText, parse_weights

from .pipelines import Pipeline, Tokenizer
from .text_encoders import TextEncoder, check_clip_skip, text_encoders

LEAST_MEAN = 0.02
"""In standard deviations: that of SD1.5's embeddings is 0.1."""


@dataclass(frozen=True)
class Conditioning:
    """What the frames are told: embeddings of a track's prompts, `p n c`, and SDXL's pooled ones, `p c`."""

    track: PromptTrack
    tokens: torch.Tensor
    pooled: torch.Tensor | None = None
    blending: str = "slerp"

    def at(self, frames: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The blended embeddings of these frames, `l n c` and `l c`."""
        blends = tuple(self.track.keyframe_blends[frame] for frame in frames)
        part = replace(self.track, keyframe_blends=blends)
        pooled = None if self.pooled is None else blend_embeddings(self.pooled, part, self.blending)
        return blend_embeddings(self.tokens, part, self.blending), pooled


@dataclass(frozen=True)
class Encoded:
    """One prompt's tokens `n c`, and SDXL's pooled vector `c`."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None


@torch.inference_mode()
def encode_tracks(
    pipeline: Pipeline, tracks: Sequence[PromptTrack], *, blending: str, clip_skip: int, device: torch.device
) -> list[Conditioning]:
    """A conditioning per track, all with the same number of tokens; every distinct prompt is encoded once.

    Raises ParameterError where there are fewer layers than are to be skipped.
    """
    encoders = text_encoders(pipeline)
    check_clip_skip(encoders, clip_skip)
    encoded: dict[str, Encoded] = {}
    for text in chain([""], *(track.prompts for track in tracks)):
        if text not in encoded:
            encoded[text] = _encode(encoders, text, clip_skip, device)
    tokens = pad_embeddings([each.tokens for each in encoded.values()], encoded[""].tokens)
    padded = dict(zip(encoded, tokens, strict=True))
    conditionings: list[Conditioning] = []
    for track in tracks:
        tokens = torch.stack([padded[text] for text in track.prompts])
        pooled = _stacked_pooled([encoded[text] for text in track.prompts])
        conditionings.append(Conditioning(track, tokens, pooled, blending))
    return conditionings


def _stacked_pooled(prompts: Sequence[Encoded]) -> torch.Tensor | None:
    """The pooled vectors `p c`, if there are any."""
    pooled = [each.pooled for each in prompts if each.pooled is not None]
    return torch.stack(pooled) if pooled else None


def _encode(encoders: Sequence[TextEncoder], text: str, clip_skip: int, device: torch.device) -> Encoded:
    """A prompt of any length, chunk by chunk; the pooled vector is that of the first one."""
    first = encoders[0]
    chunks: list[Encoded] = []
    for chunk in split_weighted(first.tokenizer, text, first.max_tokens):
        encoded = [encoder.encode(chunk.text, clip_skip, device) for encoder in encoders]
        tokens = torch.cat([weigh(tokens.float().cpu(), chunk.weights) for tokens, _ in encoded], dim=-1)
        _, pooled = encoded[-1]
        chunks.append(Encoded(tokens, pooled.float().cpu() if len(encoders) > 1 else None))
    return Encoded(torch.cat([chunk.tokens for chunk in chunks]), chunks[0].pooled)


def weigh(tokens: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Embeddings `n c` of a chunk times the weights of its tokens, behind the one that begins it; then all of
    them are scaled so that their mean is what it was, as in the WebUI, unless that is next to nothing: then
    the quotient says nothing."""
    if not weights:
        return tokens
    multipliers = torch.ones(len(tokens), 1)
    multipliers[1 : len(weights) + 1, 0] = torch.tensor(weights)
    weighed = tokens * multipliers
    if tokens.mean().abs() < LEAST_MEAN * tokens.std():
        return weighed
    return weighed * (tokens.mean() / weighed.mean())


@dataclass(frozen=True)
class Chunk:
    """A text that fits the text encoder, and the weight of each of its tokens; none where all are 1."""

    text: str
    weights: tuple[float, ...] = ()


def split_weighted(tokenizer: Tokenizer, text: str, max_tokens: int) -> list[Chunk]:
    """A prompt with weights in chunks that each fit the text encoder."""
    chunks: list[Chunk] = []
    for section in parse_weights(text):
        if all(part.weight == 1 for part in section):
            whole = "".join(part.text for part in section)
            chunks += [Chunk(each) for each in split_prompt(tokenizer, whole, max_tokens)]
        else:
            chunks += _pack(tokenizer, section, max_tokens - 2)
    return chunks


def _pack(tokenizer: Tokenizer, section: Sequence[WeightedText], limit: int) -> list[Chunk]:
    """Parts in chunks of at most so many tokens. Each part is tokenized apart, as in the WebUI: between words
    CLIP's tokenizer sees a blank, whether there is one or not."""
    chunks: list[Chunk] = []
    texts, weights = list[str](), list[float]()
    for part in section:
        for piece in _pieces(tokenizer, part.text, limit):
            count = _num_tokens(tokenizer, piece)
            if texts and len(weights) + count > limit:
                chunks.append(Chunk(" ".join(texts), tuple(weights)))
                texts, weights = [], []
            texts.append(piece)
            weights += [part.weight] * count
    return [*chunks, Chunk(" ".join(texts), tuple(weights))]


def split_prompt(tokenizer: Tokenizer, text: str, max_tokens: int) -> list[str]:
    """`text` in pieces that each fit the text encoder, split at commas where possible, else at words."""
    limit = max_tokens - 2
    chunks: list[str] = []
    current = ""
    for piece in _pieces(tokenizer, text, limit):
        if current and _num_tokens(tokenizer, current + piece) > limit:
            chunks.append(current)
            current = piece.lstrip(" ,")
        else:
            current += piece
    return [*chunks, current]


def _pieces(tokenizer: Tokenizer, text: str, limit: int) -> list[str]:
    if _num_tokens(tokenizer, text) <= limit:
        return [text]
    pieces: list[str] = []
    for index, part in enumerate(text.split(",")):
        part = part if index == 0 else "," + part
        if _num_tokens(tokenizer, part) <= limit:
            pieces.append(part)
        else:
            first, *others = part.split(" ")
            pieces += [first, *(f" {word}" for word in others)]
    return pieces


def _num_tokens(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.tokenize(text))
