"""Clips whose deep layers are computed in some steps alone."""

from __future__ import annotations

import torch

LONG = {"seed": 3, "steps": 4, "video_length": 10, "batch_size": 4, "width": 64, "height": 64}


def test_deep_layers_are_computed_in_every_other_step_with_a_cache_interval_of_two(animator):
    plain, computed, unet = animator.generate("a circle", **LONG).latents, [], animator.pipeline.unet
    hooks = [
        layer.register_forward_hook(lambda *_, part=part: computed.append(part))
        for part, layer in {"shallow": unet.conv_in, "deep": unet.mid_block.resnets[0].conv1}.items()
    ]
    try:
        cached = animator.generate("a circle", **LONG, cache_interval=2)
    finally:
        for hook in hooks:
            hook.remove()
    assert computed.count("shallow") == 2 * computed.count("deep") > 0
    assert not torch.allclose(cached.latents, plain)
    assert "AnimateDiff" in cached.infotext
    assert animator.generate("a circle", **LONG, cache_interval=1).latents.equal(plain)
