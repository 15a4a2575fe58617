"""Scale and effect of a motion module: what they do to its layers, frame by frame and place by place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from motion_module import (
    FrameValues,
    MotionControl,
    MotionModuleError,
    Site,
    View,
    injected,
    pieces,
    video_group_norms,
)
from motion_module.attention import attend_by_products
from motion_module.backends import AttentionBackends
from tests.motion_module.samples import V1, V3, ldm_unet, module_of, relative_error, unet_inputs

FIRST = Site("down_blocks", 0, 0)


def values(*numbers):
    return FrameValues(torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1, 1))


def hidden_states(num_frames=4, height=6, width=6):
    return torch.randn(num_frames, 32, height, width, generator=torch.Generator().manual_seed(7))


def run(control, hidden=None, indices=None, module=None):
    module = module or module_of(V3)
    hidden = hidden_states() if hidden is None else hidden
    with module.frames(len(hidden), indices, control):
        return module.layers()[FIRST](hidden)


def only(backend):
    return AttentionBackends(lambda query: {"only": backend})


def left_half():
    mask = torch.zeros(1, 6, 6)
    mask[..., :3] = 1
    return FrameValues(mask)


@pytest.mark.parametrize("control", [MotionControl(), MotionControl(values(1), values(1))])
def test_control_of_ones_changes_no_bit(control):
    assert run(control).equal(run(MotionControl()))


def test_effect_zero_leaves_hidden_states_as_they_are():
    assert run(MotionControl(effect=values(0))).equal(hidden_states())


def test_effect_weighs_what_each_frame_is_added():
    added = run(MotionControl()) - hidden_states()
    found = run(MotionControl(effect=values(0, 0.5, 1, 2))) - hidden_states()
    expected = added * torch.tensor([0, 0.5, 1, 2])[:, None, None, None]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_effect_mask_of_one_half_moves_that_half_alone_bit_for_bit():
    found, whole = run(MotionControl(effect=left_half())), run(MotionControl())
    assert found[..., 3:].equal(hidden_states()[..., 3:])
    assert found[..., :3].equal(whole[..., :3])


def test_values_go_by_the_frames_indices():
    control = MotionControl(effect=values(0, 1, 0, 1))
    whole = run(MotionControl(), hidden_states(2), (1, 2))
    found = run(control, hidden_states(2), (1, 2))
    assert found[0].equal(whole[0])
    assert found[1].equal(hidden_states(2)[1])


@pytest.mark.parametrize("by_place", [False, True])
def test_scale_multiplies_the_keys_in_every_attention(by_place):
    scale = torch.rand(4, 6, 6) * 2 if by_place else torch.rand(4, 1, 1) * 2
    found = run(MotionControl(scale=FrameValues(scale)))
    keys = scale.expand(4, 6, 6).flatten(1)[..., None]
    module = module_of(V3)
    module.runtime.attention = only(lambda inputs: attend_by_products(replace(inputs, key=inputs.key * keys)))
    assert relative_error(found, run(MotionControl(), module=module)) <= 1e-5
    assert not torch.allclose(found, hidden_states())


def test_scale_of_all_is_that_of_the_keys_weights():
    module = module_of(V3)
    found = run(MotionControl(scale=values(1.5)), module=module)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.endswith("to_k.weight"):
                weight.mul_(1.5)
    assert relative_error(found, run(MotionControl(), module=module)) <= 1e-5


def test_scale_zero_lets_all_frames_be_seen_alike():
    found = run(MotionControl(scale=values(0)))
    module = module_of(V3)
    module.runtime.attention = only(lambda inputs: inputs.value.mean(0, keepdim=True).expand_as(inputs.value))
    assert relative_error(found, run(MotionControl(), module=module)) <= 1e-5


def test_masks_of_any_size_and_pieces_of_any_size_give_the_same(monkeypatch):
    control = MotionControl(FrameValues(torch.rand(4, 64, 48)), FrameValues(torch.rand(1, 2, 2)))
    clips = torch.cat([hidden_states(), hidden_states() / 2])
    module = module_of(V3)
    found = []
    for size in (1, 20_000, 10**9):
        monkeypatch.setattr(pieces, "CPU_SIZES", (size,))
        module.runtime.pieces = pieces.Pieces()
        with module.frames(4, control=control):
            found.append(module.layers()[FIRST](clips))
    assert max(relative_error(each, found[0]) for each in found) <= 1e-5


def test_views_attend_among_themselves_and_are_averaged():
    apart = MotionControl(views=(View((0, 1), (1, 1)), View((2, 3), (1, 1))))
    halves = torch.cat([run(MotionControl(), half) for half in hidden_states().split(2)])
    assert relative_error(run(apart), halves) <= 1e-5
    whole = View((0, 1, 2, 3), (0.5,) * 4)
    assert relative_error(run(MotionControl(views=(whole, whole))), run(MotionControl())) <= 1e-5
    assert relative_error(run(apart), run(MotionControl())) > 0.01


def test_values_for_too_few_frames_or_that_are_no_numbers_are_refused():
    with pytest.raises(MotionModuleError, match="values for 2 frames, but frame 3"):
        run(MotionControl(effect=values(1, 0)))
    with pytest.raises(MotionModuleError, match="finite numbers"):
        values(float("nan"))


@pytest.mark.parametrize("published", [V1, V3], ids=["v1", "v3"])
def test_unet_with_effect_zero_equals_one_without_the_module_bit_for_bit(published):
    unet, inputs, module = ldm_unet(), unet_inputs(), module_of(published)
    expected = unet(**inputs)
    with (
        injected(unet, module),
        video_group_norms(unet, module),
        module.frames(6, control=MotionControl(effect=values(0))),
    ):
        assert unet(**inputs).equal(expected)
    with injected(unet, module), video_group_norms(unet, module), module.frames(6):
        assert not torch.allclose(unet(**inputs), expected)
