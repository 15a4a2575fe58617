"""PIA's first convolution: what takes its place in the UNet, and when it does not."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from motion_module import FrameValues, MotionControl, MotionModuleError, Picture, injected
from tests.motion_module.ldm_unet import SD15, UNetModel
from tests.motion_module.samples import (
    BY_FILE,
    assert_same,
    fingerprint_of,
    ldm_unet,
    module_of,
    picture,
    relative_error,
    unet_inputs,
)

FRAMES = 3
AFFINITY = (1.0, 0.5, 0.25, 0.125)


def first_layer(control, indices=(0, 1, 2), inputs=None):
    """What the UNet's first convolution gives, with PIA in it; and PIA's own weights."""
    unet, module = ldm_unet(), module_of(BY_FILE["pia"])
    found = []
    with (
        injected(unet, module),
        module.frames(FRAMES, indices, control),
        unet.input_blocks[0].register_forward_hook(lambda _module, _args, output: found.append(output)),
    ):
        unet(**(inputs or unet_inputs()))
    return found[0], module.state_dict()


def test_first_layer_sees_affinity_and_picture_beside_each_frames_noise_and_goes_by_indices():
    shown, inputs = picture(affinity=AFFINITY), unet_inputs()
    found, weights = first_layer(MotionControl(picture=shown), (3, 1, 0))
    for row, frame in enumerate((3, 1, 0) * 2):
        affinity = torch.full((1, 16, 8), AFFINITY[frame])
        seen = torch.cat([inputs["x"][row], affinity, shown.latents[0]])[None]
        expected = F.conv2d(seen, weights["conv_in.weight"], weights["conv_in.bias"], padding=1)
        assert relative_error(found[row], expected[0]) <= 1e-6


def test_effect_goes_from_the_unets_own_layer_to_pias():
    own, whole = ldm_unet().input_blocks[0](unet_inputs()["x"], None), first_layer(at_effect(1))[0]
    assert first_layer(at_effect(0))[0].equal(own)
    assert relative_error(first_layer(at_effect(0.25))[0], own + 0.25 * (whole - own)) <= 1e-5


def at_effect(value):
    return MotionControl(
        effect=FrameValues(torch.full((1, 1, 1), float(value))), picture=picture(affinity=AFFINITY)
    )


def test_picture_of_another_size_is_stretched_as_hires_fix_needs_it():
    small = picture(8, 4, AFFINITY)
    large = Picture(F.interpolate(small.latents, (16, 8), mode="bilinear"), small.affinity)
    found, expected = (first_layer(MotionControl(picture=each))[0] for each in (small, large))
    assert found.equal(expected)


def test_no_picture_and_a_checkpoint_for_inpainting_are_refused_and_the_unet_is_left_as_it_was():
    with pytest.raises(MotionModuleError, match="PIA animates a picture, but there is none"):
        first_layer(MotionControl())
    torch.manual_seed(0)
    unet, module = UNetModel(SD15), module_of(BY_FILE["pia"])
    unet.input_blocks[0][0] = torch.nn.Conv2d(9, 32, 3, padding=1)
    before = fingerprint_of(unet)
    inputs = {**unet_inputs(), "x": torch.zeros(6, 9, 16, 8)}
    with (
        pytest.raises(MotionModuleError, match="latents of 4 channels, but this checkpoint's have 9"),
        injected(unet, module),
        module.frames(FRAMES, control=MotionControl(picture=picture(affinity=AFFINITY))),
    ):
        unet(**inputs)
    assert_same(before, fingerprint_of(unet))
