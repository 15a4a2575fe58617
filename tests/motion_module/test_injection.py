from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from einops import rearrange
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
from motion_module.names import DIFFUSERS, from_official
from tests.motion_module.ldm_unet import SD15, SDXL, timestep_embedding
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
TEXT_WIDTH, TIME_WIDTH = 16, 8


@pytest.fixture(params=CASES, ids=CASES.keys())
def case(request):
    config, published = CASES[request.param]
    return config, module_of(published)


def diffusers_unet(config, seed=1):
    """The same weights as ldm_unet's, by diffusers' own conversion."""
    levels = [depth > 0 for depth in config.transformer_depths]
    extras = {}
    if config.adm_in_channels:
        extras = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": TIME_WIDTH,
            "projection_class_embeddings_input_dim": config.adm_in_channels,
        }
    unet = UNet2DConditionModel(
        block_out_channels=config.widths,
        down_block_types=["CrossAttnDownBlock2D" if has else "DownBlock2D" for has in levels],
        up_block_types=["CrossAttnUpBlock2D" if has else "UpBlock2D" for has in reversed(levels)],
        layers_per_block=config.num_res_blocks,
        transformer_layers_per_block=[max(depth, 1) for depth in config.transformer_depths],
        attention_head_dim=config.num_heads,
        cross_attention_dim=config.context_dim,
        use_linear_projection=config.linear_projections,
        **extras,
    )
    weights = ldm_unet(config, seed).state_dict()
    prefixed = {f"model.diffusion_model.{key}": tensor for key, tensor in weights.items()}
    unet.load_state_dict(convert_ldm_unet_checkpoint(prefixed, dict(unet.config)), strict=True)
    return unet.eval().requires_grad_(False)


def run_both_inputs(config):
    """One input, as an ldm and as a diffusers UNet takes it."""
    ldm = unet_inputs(config, 2 * NUM_FRAMES)
    diffusers = {"sample": ldm["x"], "timestep": ldm["timesteps"], "encoder_hidden_states": ldm["context"]}
    if config.adm_in_channels:
        times = torch.arange(6.0).repeat(2 * NUM_FRAMES, 1)
        embedded = timestep_embedding(times.flatten(), TIME_WIDTH).reshape(2 * NUM_FRAMES, -1)
        text = ldm["y"][:, :TEXT_WIDTH]
        ldm["y"] = torch.cat([text, embedded], dim=1)
        diffusers["added_cond_kwargs"] = {"text_embeds": text, "time_ids": times}
    return ldm, diffusers


def per_frame(norm: nn.GroupNorm):
    """diffusers normalises its temporal layers' input across frames; real files were trained per frame."""
    whole = norm.forward

    def forward(hidden):
        frames = whole(rearrange(hidden, "b c f h w -> (b f) c h w"))
        return rearrange(frames, "(b f) c h w -> b c f h w", f=hidden.shape[2])

    norm.forward = forward


def motion_model_of_diffusers(unet, module):
    """diffusers' UNetMotionModel with both weights, its one across-frames norm neutralised: see per_frame."""
    spec = module.spec
    adapter = MotionAdapter(block_out_channels=spec.widths, use_motion_mid_block=spec.has_mid_block)
    weights = {k: v for k, v in module.state_dict().items() if not k.endswith("pos_encoder.pe")}
    adapter.load_state_dict(from_official(weights, DIFFUSERS), strict=False)
    model = UNetMotionModel.from_unet2d(unet, adapter).eval()
    if unet.config.addition_embed_type:  # diffusers copies all of the UNet's weights but these
        model.add_embedding.load_state_dict(unet.add_embedding.state_dict())
    for transformer in model.modules():
        if isinstance(transformer, AnimateDiffTransformer3D):
            per_frame(transformer.norm)
    return model


def sinusoidal(module):
    """The module with computed encodings, which are the only ones diffusers can have here."""
    from motion_module.network import build_positions

    for name, buffer in module.named_buffers():
        if name.endswith("pos_encoder.pe"):
            buffer.copy_(build_positions(buffer.shape[1], buffer.shape[2]))
    return module


@pytest.mark.parametrize(
    ("config", "published"), [(SD15, V2), (SD15, V3), (SDXL, ANIMATEDIFF_SDXL)], ids=["v2", "v3", "SDXL"]
)
def test_injected_diffusers_unet_equals_diffusers_own_motion_unet(config, published):
    unet, module = diffusers_unet(config), sinusoidal(module_of(published))
    _, inputs = run_both_inputs(config)
    for conditions in (inputs, inputs.get("added_cond_kwargs", {})):  # the peer has one timestep a clip
        for name in conditions.keys() & {"timestep", "encoder_hidden_states", "text_embeds"}:
            conditions[name] = conditions[name][::NUM_FRAMES].repeat_interleave(NUM_FRAMES, dim=0)
    with injected(unet, module), module.frames(NUM_FRAMES):
        found = unet(**inputs).sample
    peer = motion_model_of_diffusers(unet, module)
    sample = rearrange(inputs.pop("sample"), "(b f) c h w -> b c f h w", f=NUM_FRAMES)
    inputs["timestep"] = inputs["timestep"][::NUM_FRAMES]
    if "added_cond_kwargs" in inputs:
        inputs["added_cond_kwargs"] = {k: v[::NUM_FRAMES] for k, v in inputs["added_cond_kwargs"].items()}
    expected = rearrange(peer(sample, **inputs).sample, "b c f h w -> (b f) c h w")
    assert relative_error(found, expected) <= 1e-4
    assert relative_error(unet(**run_both_inputs(config)[1]).sample, expected) > 0.01


def test_ldm_unet_with_the_same_weights_equals_the_diffusers_one(case):
    config, module = case
    ldm, diffusers = ldm_unet(config), diffusers_unet(config)
    ldm_inputs, diffusers_inputs = run_both_inputs(config)
    still = ldm(**ldm_inputs)
    assert relative_error(still, diffusers(**diffusers_inputs).sample) <= 1e-4
    with module.frames(NUM_FRAMES), injected(ldm, module), injected(diffusers, module):
        moving = ldm(**ldm_inputs)
        assert relative_error(moving, diffusers(**diffusers_inputs).sample) <= 1e-4
    assert relative_error(moving, still) > 0.01


@pytest.mark.parametrize(
    ("config", "published"), [(SD15, V1), (SDXL, HOTSHOT)], ids=["AnimateDiff v1", "HotShot-XL"]
)
def test_video_group_norms_equal_norms_of_whole_clips_in_both_unets(config, published):
    module, ldm, diffusers = module_of(published), ldm_unet(config), diffusers_unet(config)
    ldm_inputs, diffusers_inputs = run_both_inputs(config)
    with module.frames(NUM_FRAMES), injected(ldm, module), injected(diffusers, module):
        per_frame_norms = ldm(**ldm_inputs)
        with video_group_norms(ldm, module), video_group_norms(diffusers, module):
            across = ldm(**ldm_inputs)
            assert relative_error(across, diffusers(**diffusers_inputs).sample) <= 1e-4
    assert relative_error(across, per_frame_norms) > 0.01


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


def test_one_frame_behaves(case):
    config, module = case
    unet = ldm_unet(config)
    with module.frames(1), injected(unet, module), video_group_norms(unet, module):
        assert unet(**unet_inputs(config, 2)).isfinite().all()


class Boom(BaseException):
    pass


@pytest.mark.parametrize("build", [ldm_unet, diffusers_unet], ids=["ldm", "diffusers"])
@pytest.mark.parametrize("failing", [False, True], ids=["success", "exception"])
def test_unet_is_bit_identical_after_use(build, failing):
    unet, module = build(SD15), module_of(V1)
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


@pytest.mark.parametrize("build", [ldm_unet, diffusers_unet], ids=["ldm", "diffusers"])
def test_base_model_is_told_by_the_unets_levels(build):
    assert detect_base_model(build(SD15)) is BaseModel.SD15
    assert detect_base_model(build(SDXL)) is BaseModel.SDXL


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
    unet = diffusers_unet(SD15)
    module = MotionModule(MotionModuleSpec(widths=SD15.widths))
    _, inputs = run_both_inputs(SD15)
    with module.frames(NUM_FRAMES), injected(unet, module):
        unet(**inputs).sample.square().mean().backward()
    reached = [layer.temporal_transformer.proj_out.weight.grad for layer in module.layers().values()]
    assert all(gradient.abs().sum() > 0 for gradient in reached)
