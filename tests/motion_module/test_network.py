from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from motion_module import (
    SPARSECTRL,
    MotionModule,
    MotionModuleError,
    MotionModuleSpec,
    Site,
    build_motion_module,
    pieces,
)
from tests.fingerprints.published import MOTION_MODULES, layer_parts
from tests.motion_module.oracle import add_motion
from tests.motion_module.samples import BY_FILE, V1, V2, V3, module_of, relative_error, weights_of

FIRST = Site("down_blocks", 0, 0)
ONE_MODULE = module_of(V1)


def hidden_states(*shape, seed=7):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("published", MOTION_MODULES, ids=lambda p: p.file_name)
def test_every_layer_of_every_family_equals_the_plain_float64_one(published):
    weights, module = weights_of(published), module_of(published)
    for block, layer, channels in published.sites(module.spec.widths):
        level = 0 if block == "mid_block" else int(block[-1])
        # Read by the published names, so that the maps between names are tested, too.
        parts = {
            part: weights[published.key(block, layer, part)]
            for part in layer_parts(channels, published.positions)
        }
        clips = hidden_states(2, 5, channels, 2, 3)
        with module.frames(5):
            found = module.layers()[Site(block.split(".")[0], level, layer)](clips.flatten(0, 1))
        expected = torch.cat([add_motion(parts, clip) for clip in clips])
        assert relative_error(found, expected) <= 1e-5


@given(st.integers(1, 24), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))
def test_layer_keeps_shapes_whatever_the_frames_clips_and_size(num_frames, clips, height, width):
    module = ONE_MODULE
    layer = module.layers()[Site("down_blocks", 1, 0)]
    hidden = hidden_states(clips * num_frames, 64, height, width)
    before = hidden.clone()
    with module.frames(num_frames):
        moved = layer(hidden)
    assert moved.shape == hidden.shape
    assert moved.isfinite().all()
    assert hidden.equal(before)


def test_clips_of_a_batch_do_not_see_each_other():
    module = module_of(V3)
    layer, clips = module.layers()[FIRST], hidden_states(2, 4, 32, 3, 3)
    with module.frames(4):
        together = layer(clips.flatten(0, 1))
        alone = torch.cat([layer(clip) for clip in clips])
    assert relative_error(together, alone) <= 1e-6


def test_new_module_adds_nothing_until_it_is_trained():
    module = MotionModule(MotionModuleSpec(widths=(32, 64, 96, 96)))
    hidden = hidden_states(4, 32, 3, 3)
    with module.frames(4):
        assert module.layers()[FIRST](hidden).equal(hidden)


@torch.enable_grad()
def test_new_module_trains_in_all_its_weights():
    module = MotionModule(MotionModuleSpec(widths=(32, 64, 96, 96)))
    layer = module.layers()[FIRST]
    torch.nn.init.normal_(layer.temporal_transformer.proj_out.weight)
    with module.frames(4):
        layer(hidden_states(4, 32, 3, 3).requires_grad_()).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


@pytest.mark.parametrize("bytes_of_a_piece", [1, 5 * 4 * 32 * 4, 30 * 4 * 32 * 4])
def test_pieces_of_any_size_change_nothing(monkeypatch, bytes_of_a_piece):
    module, hidden = module_of(V3), hidden_states(8, 32, 5, 5)
    with module.frames(4):
        expected = module.layers()[FIRST](hidden)
    monkeypatch.setattr(pieces, "CPU_SIZES", (bytes_of_a_piece,))
    module = module_of(V3)
    with module.frames(4):
        assert relative_error(module.layers()[FIRST](hidden), expected) <= 1e-6


@torch.enable_grad()
def test_layer_gives_the_same_where_gradients_are_kept():
    module, hidden = module_of(V3), hidden_states(8, 32, 5, 5)
    with module.frames(4):
        with torch.no_grad():
            expected = module.layers()[FIRST](hidden)
        assert relative_error(module.layers()[FIRST](hidden), expected) <= 1e-6


@pytest.mark.parametrize("own", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("hosts", [torch.float32, torch.float16, torch.bfloat16])
def test_layer_runs_in_its_own_dtype_and_returns_the_hosts(own, hosts):
    module = build_motion_module(weights_of(V3), dtype=own)
    layer, seen = module.layers()[FIRST], []
    layer.temporal_transformer.proj_out.register_forward_hook(lambda *hooked: seen.append(hooked[2].dtype))
    with module.frames(4):
        assert layer(hidden_states(4, 32, 2, 2).to(hosts)).dtype == hosts
    assert seen == [own]


def test_autocast_of_the_host_does_not_reach_the_layers():
    module = module_of(V3)
    layer, hidden = module.layers()[FIRST], hidden_states(4, 32, 2, 2)
    with module.frames(4):
        expected = layer(hidden)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert layer(hidden).equal(expected)


def test_channels_last_hidden_states_give_the_same():
    module = module_of(V3)
    layer, hidden = module.layers()[FIRST], hidden_states(4, 32, 3, 5)
    with module.frames(4):
        found = layer(hidden.to(memory_format=torch.channels_last))
        assert relative_error(found, layer(hidden)) <= 1e-6


def test_what_a_layer_gives_is_contiguous_on_cpus_where_other_layouts_slow_convolutions_down():
    hidden = hidden_states(5, 32, 4, 4).to(memory_format=torch.channels_last)
    with ONE_MODULE.frames(5):
        assert ONE_MODULE.layers()[FIRST](hidden).is_contiguous()


def test_batch_that_is_no_whole_number_of_clips_is_refused():
    module = module_of(V3)
    with (
        module.frames(4),
        pytest.raises(MotionModuleError, match=r"6 rows is not a whole number of clips of 4"),
    ):
        module.layers()[FIRST](hidden_states(6, 32, 2, 2))


def test_layer_outside_frames_says_what_to_do():
    with pytest.raises(MotionModuleError, match=r"module\.frames"):
        module_of(V3).layers()[FIRST](hidden_states(6, 32, 2, 2))


@pytest.mark.parametrize("num_frames", [0, 25])
def test_frames_beyond_the_position_encodings_are_refused(num_frames):
    with pytest.raises(MotionModuleError, match=f"1 to 24 frames at once, not {num_frames}"):
        module_of(V1).frames(num_frames).__enter__()


def test_frames_nest_and_are_put_back_whatever_is_raised():
    module = module_of(V2)
    layer = module.layers()[FIRST]
    with module.frames(6):
        with pytest.raises(KeyboardInterrupt), module.frames(4):
            raise KeyboardInterrupt
        with pytest.raises(MotionModuleError, match="clips of 6"):
            layer(hidden_states(4, 32, 2, 2))
    assert module.runtime.num_frames is None


def test_frame_indices_of_another_number_are_refused():
    with pytest.raises(MotionModuleError, match="2 frame indices were given for 3 frames"):
        module_of(V2).frames(3, (0, 1)).__enter__()


def test_sparsectrl_spec_has_the_encoders_keys():
    from tests.fingerprints.published import sparsectrl_encoder

    with torch.device("meta"):
        state = MotionModule(SPARSECTRL).state_dict()
    published = {k: shape for k, shape in sparsectrl_encoder().items() if "motion_modules" in k}
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == published


def test_computed_encodings_of_animatelcm_reach_64_frames():
    module = module_of(BY_FILE["AnimateLCM_sd15_t2v"])
    with module.frames(64):
        assert module.layers()[FIRST](hidden_states(64, 32, 1, 1)).isfinite().all()
