"""Frames that are told the same: their prompt is projected once, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from animatediff_webui.shared_prompts import prompts_shared


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 32), layers_per_block=1, norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), attention_head_dim=2,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=16,
    ).eval()  # fmt: skip


def predict(unet, prompts):
    """The prediction for rows of `prompts`, and how many of them each cross-attention projected."""
    torch.manual_seed(1)
    seen: list[int] = []
    projections = [m for name, m in unet.named_modules() if name.endswith(("attn2.to_k", "attn2.to_v"))]
    hooks = [m.register_forward_hook(lambda _m, args, _out: seen.append(len(args[0]))) for m in projections]
    with torch.inference_mode():
        prediction = unet(torch.randn(len(prompts), 4, 8, 8), 10, prompts).sample
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(projections) > 0
    return prediction, set(seen)


def shared(unet, prompts):
    """The same, with prompts shared; hooks see what the projections were given in the end."""
    with prompts_shared(unet):
        return predict(unet, prompts)


def told(*words):
    """Prompts `r 3 16`, the same for the same word."""
    tokens = {word: torch.randn(3, 16, generator=torch.Generator().manual_seed(ord(word))) for word in words}
    return torch.stack([tokens[word] for word in words])


@pytest.mark.parametrize(
    ("words", "distinct"), [("aaaabbbb", 2), ("aabbaabb", 4), ("abcd", 4), ("a", 1), ("aaaa", 1)]
)
def test_neighbours_that_are_told_the_same_are_projected_once(unet, words, distinct):
    prompts = told(*words)
    plain, _ = predict(unet, prompts)
    prediction, projected = shared(unet, prompts)
    assert projected == {distinct}
    torch.testing.assert_close(prediction, plain)


def test_prompts_written_to_the_same_place_are_read_anew_by_the_next_call(unet):
    prompts = told(*"aabb")
    with prompts_shared(unet):
        predict(unet, prompts)
        prompts[:] = told(*"abab")
        prediction, _ = predict(unet, prompts)
    torch.testing.assert_close(prediction, predict(unet, prompts)[0])


def test_afterwards_the_unet_has_no_hook_left(unet):
    shared(unet, told(*"aabb"))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in unet.modules())
