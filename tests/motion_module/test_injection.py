from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from motion_module import (
    BaseModel,
    IncompatibleBaseModelError,
    MotionModule,
    MotionModuleError,
    MotionModuleSpec,
    detect_base_model,
    injected,
    video_group_norms,
)
from tests.motion_module.ldm_unet import SD15, SDXL
from tests.motion_module.samples import (
    ANIMATEDIFF_SDXL,
    HOTSHOT,
    V1,
    V2,
    V3,
    assert_same,
    fingerprint_of,
    ldm_unet,
    module_of,
    relative_error,
    unet_inputs,
)

NUM_FRAMES = 3
CASES = {"SD1.5 v2": (SD15, V2), "SD1.5 v3": (SD15, V3), "SDXL": (SDXL, ANIMATEDIFF_SDXL)}


@pytest.fixture(params=CASES, ids=CASES.keys())
def case(request):
    config, published = CASES[request.param]
    return config, module_of(published)


def test_video_group_norm_reduces_over_the_frames_of_a_clip_and_no_others():
    module, unet = module_of(V1), ldm_unet()
    norm = unet.input_blocks[1][0].in_layers[0]
    hidden = torch.randn(2 * NUM_FRAMES, 32, 4, 4)
    with module.frames(NUM_FRAMES), video_group_norms(unet, module):
        found = norm(hidden)
    clips = hidden.reshape(2, NUM_FRAMES, 32, 1, 4, 4)
    mean = clips.mean(dim=(1, 3, 4, 5), keepdim=True)
    variance = clips.var(dim=(1, 3, 4, 5), keepdim=True, unbiased=False)
    assert relative_error(found, ((clips - mean) / (variance + 1e-5).sqrt()).reshape(hidden.shape)) <= 1e-5


def test_norms_inside_transformers_and_modules_that_want_none_stay_per_frame():
    unet, inputs = ldm_unet(), unet_inputs(num_rows=NUM_FRAMES)
    hooks = [unet.input_blocks[1][1].norm._forward_pre_hooks, unet.out[0]._forward_pre_hooks]
    v1, v3 = module_of(V1), module_of(V3)
    with video_group_norms(unet, v1):
        assert [len(of_norm) for of_norm in hooks] == [0, 1]
    with v3.frames(NUM_FRAMES), video_group_norms(unet, v3):
        assert unet(**inputs).equal(ldm_unet()(**inputs))


def test_injected_unet_lets_the_frames_of_a_clip_see_each_other(case):
    config, module = case
    unet, inputs = ldm_unet(config), unet_inputs(config, 2 * NUM_FRAMES)
    changed = inputs | {"x": inputs["x"].clone()}
    changed["x"][0] += 1
    with module.frames(NUM_FRAMES), injected(unet, module):
        reacts = (unet(**inputs) - unet(**changed)).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert reacts.tolist() == [True] * NUM_FRAMES + [False] * NUM_FRAMES


def test_one_frame_behaves(case):
    config, module = case
    unet = ldm_unet(config)
    with module.frames(1), injected(unet, module), video_group_norms(unet, module):
        assert unet(**unet_inputs(config, 2)).isfinite().all()


class Boom(BaseException):
    pass


@pytest.mark.parametrize("failing", [False, True], ids=["success", "exception"])
def test_unet_is_bit_identical_after_use(failing):
    unet, module = ldm_unet(), module_of(V1)
    before = fingerprint_of(unet)
    with (
        pytest.raises(Boom) if failing else nullcontext(),
        module.frames(2),
        injected(unet, module),
        video_group_norms(unet, module),
    ):
        if failing:
            raise Boom
    assert_same(before, fingerprint_of(unet))


def test_error_inside_the_forward_pass_leaves_the_unet_clean():
    unet, module = ldm_unet(), module_of(V1)
    before = fingerprint_of(unet)
    with (
        pytest.raises(MotionModuleError, match="whole number of clips"),
        module.frames(4),
        injected(unet, module),
        video_group_norms(unet, module),
    ):
        unet(**unet_inputs(num_rows=6))
    assert_same(before, fingerprint_of(unet))


def test_nested_use_returns_to_the_outer_state():
    unet, outer, inner = ldm_unet(), module_of(V2), module_of(V3)
    inputs = unet_inputs(num_rows=4)
    with outer.frames(4), injected(unet, outer):
        before, expected = fingerprint_of(unet), unet(**inputs)
        with outer.frames(2), inner.frames(2), injected(unet, inner):
            assert not unet(**inputs).equal(expected)
        assert_same(before, fingerprint_of(unet))
        assert unet(**inputs).equal(expected)


def test_hooks_of_a_neighbour_survive_and_see_frames():
    unet, module, shapes = ldm_unet(), module_of(V1), []
    norm, attention = unet.input_blocks[1][0].in_layers[0], unet.input_blocks[1][1]
    for watched in (norm, attention):
        watched.register_forward_pre_hook(lambda _, args: shapes.append(args[0].shape))
        watched.register_forward_hook(lambda _, args, output: shapes.append(output.shape))
    with module.frames(3), injected(unet, module), video_group_norms(unet, module):
        late = attention.register_forward_hook(lambda *_: None)
        unet(**unet_inputs(num_rows=3))
    assert shapes == [(3, 32, 16, 8)] * 4
    assert len(norm._forward_hooks) == 1
    assert list(attention._forward_hooks)[1:] == [late.id]


def test_base_model_is_told_by_the_unets_levels():
    assert detect_base_model(ldm_unet(SD15)) is BaseModel.SD15
    assert detect_base_model(ldm_unet(SDXL)) is BaseModel.SDXL


@pytest.mark.parametrize(
    ("config", "published", "named"),
    [(SDXL, V3, r"v3_sd15_mm was made for SD1\.5, but .* SDXL"), (SD15, HOTSHOT, r"for SDXL, but .* SD1\.5")],
)
def test_module_for_another_base_model_is_refused_naming_both(config, published, named):
    unet = ldm_unet(config)
    before = fingerprint_of(unet)
    with pytest.raises(IncompatibleBaseModelError, match=named):
        injected(unet, module_of(published)).__enter__()
    assert_same(before, fingerprint_of(unet))


def test_module_for_other_widths_is_refused_naming_both():
    module = MotionModule(MotionModuleSpec(widths=(32, 64, 96, 96)))
    with pytest.raises(IncompatibleBaseModelError, match=r"32-64-96-96 .* 32-64-64-64"):
        injected(ldm_unet(), module).__enter__()


def test_module_that_is_no_unet_is_refused():
    with pytest.raises(IncompatibleBaseModelError, match="Linear has neither"):
        detect_base_model(nn.Linear(1, 1))


@torch.enable_grad()
def test_gradients_reach_the_module_through_a_frozen_unet():
    unet, module = ldm_unet(), MotionModule(MotionModuleSpec(widths=SD15.widths))
    with module.frames(NUM_FRAMES), injected(unet, module):
        unet(**unet_inputs(num_rows=NUM_FRAMES)).square().mean().backward()
    reached = [layer.temporal_transformer.proj_out.weight.grad for layer in module.layers().values()]
    assert all(gradient.abs().sum() > 0 for gradient in reached)
