"""AnimateLCM-I2V's encoder: what the formula gives, and where in the UNet it is added."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from motion_module import (
    FrameValues,
    MotionControl,
    MotionModuleError,
    build_motion_module,
    injected,
)
from motion_module.unets import describe_unet
from tests.motion_module.oracle import sinusoids
from tests.motion_module.samples import (
    BY_FILE,
    assert_same,
    fingerprint_of,
    ldm_unet,
    module_of,
    picture,
    relative_error,
    unet_inputs,
    weights_of,
)

I2V = BY_FILE["AnimateLCM_sd15_i2v"]
FRAMES = 3


def encoded(weights, latents, num_frames):
    """The published network, written plainly: what each level of the UNet is shown, frame by frame."""
    weights = {key: value.double() for key, value in weights.items()}

    def convolved(name, hidden, padding=0):
        key = f"img_encoder.{name}"
        return F.conv2d(hidden, weights[f"{key}.weight"], weights[f"{key}.bias"], padding=padding)

    first = convolved("conv_in", latents.double(), 1)
    hidden = first + 0.8 * sinusoids(num_frames, first.shape[1])[:, :, None, None]
    levels = []
    for number in range(8):
        if number in (2, 4, 6):
            odd_height, odd_width = (side % 2 for side in hidden.shape[2:])
            hidden = F.avg_pool2d(F.pad(hidden, (0, odd_width, 0, odd_height), mode="replicate"), 2)
        if f"img_encoder.body.{number}.in_conv.weight" in weights:
            hidden = convolved(f"body.{number}.in_conv", hidden)
        middle = convolved(f"body.{number}.block1", hidden, 1).clamp_min(0)
        hidden = hidden + convolved(f"body.{number}.block2", middle)
        if number % 2:
            levels.append(hidden)
    return levels


@pytest.mark.parametrize("size", [(16, 8), (9, 5)])
def test_each_level_is_shown_what_the_published_network_gives(size):
    module, shown = module_of(I2V), picture(*size)
    for level, expected in enumerate(encoded(weights_of(I2V), shown.latents, FRAMES)):
        hidden = torch.zeros(2 * FRAMES, 1, *expected.shape[2:])
        with module.frames(FRAMES, control=MotionControl(picture=shown)):
            found = module.img_encoder.at(level, hidden)
        assert relative_error(found, torch.cat([expected, expected])) <= 1e-5


def test_picture_is_added_before_the_last_layer_of_each_level_on_the_way_down():
    weights, shown = weights_of(I2V), picture()
    levels = encoded(weights, shown.latents, FRAMES)
    unet, inputs = ldm_unet(), unet_inputs()
    module = module_of(I2V)
    with injected(unet, module), module.frames(FRAMES, control=MotionControl(picture=shown)):
        found = unet(**inputs)
    plain = build_motion_module({k: v for k, v in weights.items() if "img_encoder" not in k}, "AnimateLCM")
    sites = {site.name: continued for site, continued in describe_unet(unet).sites.items()}
    hooks = [
        sites[f"down_blocks.{level}.motion_modules.1"].register_forward_hook(
            lambda _module, _args, output, added=added: output + torch.cat([added, added]).float()
        )
        for level, added in enumerate(levels)
    ]
    with injected(unet, plain), plain.frames(FRAMES):
        expected = unet(**inputs)
    for hook in hooks:
        hook.remove()
    assert relative_error(found, expected) <= 1e-4
    assert not torch.allclose(found, unet(**inputs))


def test_effect_zero_equals_no_module_and_a_missing_picture_is_refused():
    unet, inputs, module = ldm_unet(), unet_inputs(), module_of(I2V)
    before, expected = fingerprint_of(unet), unet(**inputs)
    idle = MotionControl(effect=FrameValues(torch.zeros(1, 1, 1)), picture=picture())
    with injected(unet, module):
        with module.frames(FRAMES, control=idle):
            assert unet(**inputs).equal(expected)
        with (
            pytest.raises(MotionModuleError, match="AnimateLCM-I2V animates a picture, but there is none"),
            module.frames(FRAMES),
        ):
            unet(**inputs)
    assert_same(before, fingerprint_of(unet))
