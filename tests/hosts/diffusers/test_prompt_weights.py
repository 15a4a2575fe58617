"""What weights in prompts do to embeddings, and how prompts with weights are cut into chunks."""

from __future__ import annotations

import pytest
import torch
from transformers import CLIPTokenizer

from animatediff_webui.hosts.diffusers.checkpoint import TOKENIZER
from animatediff_webui.hosts.diffusers.prompts import split_prompt, split_weighted, weigh

SMALL = {"seed": 1, "steps": 1, "video_length": 2, "batch_size": 2}


@pytest.fixture(scope="module")
def tokenizer():
    return CLIPTokenizer.from_pretrained(TOKENIZER)


def test_weights_multiply_their_own_tokens_and_keep_the_mean():
    tokens = 1 + torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    weighed = weigh(tokens, (1.0, 2.0))
    torch.testing.assert_close(weighed.mean(), tokens.mean())
    factors = (weighed / tokens)[:, 0]
    torch.testing.assert_close(factors / factors[0], torch.tensor([1.0, 1, 2, 1, 1, 1]))


def test_mean_next_to_nothing_is_not_kept():
    tokens = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    tokens -= tokens.mean()
    torch.testing.assert_close(weigh(tokens, (3.0,))[1], 3 * tokens[1])
    assert torch.equal(weigh(tokens, (3.0,))[2:], tokens[2:])
    assert weigh(tokens, ()) is tokens


@pytest.mark.parametrize("text", ["a red circle", "a, b, c", "x " * 200, "a (b:1), c", ""])
def test_prompt_without_weights_is_cut_as_ever(text, tokenizer):
    plain = split_prompt(tokenizer, text.replace("(b:1)", "b"), 77)
    assert [chunk.text for chunk in split_weighted(tokenizer, text, 77)] == plain


def test_each_token_has_its_weight_in_chunks_that_fit(tokenizer):
    text = "a (red:1.5) unbelievable(circle) " + "(word, other:0.5), plain, " * 40
    chunks = split_weighted(tokenizer, text, 77)
    assert len(chunks) > 1
    for chunk in chunks:
        assert len(chunk.weights) == len(tokenizer.tokenize(chunk.text)) <= 75
    start = len(tokenizer.tokenize("unbelievable"))
    assert chunks[0].weights[: start + 3] == pytest.approx([1, 1.5, *[1] * start, 1.1])


def test_break_begins_a_chunk(tokenizer):
    chunks = split_weighted(tokenizer, "a red circle BREAK a (blue) one", 77)
    assert [len(chunk.weights) for chunk in chunks] == [0, 3]


def test_weights_change_the_clip_and_a_weight_of_one_does_not(animator):
    plain, same, more = (
        animator.generate(text, **SMALL).latents for text in ("a red one", "a (red:1) one", "a (red:1.5) one")
    )
    assert torch.equal(plain, same)
    assert not torch.allclose(plain, more, atol=1e-3)
