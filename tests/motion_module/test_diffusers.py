"""diffusers as the peer: the same weights give the same frames; skipped where it is not installed."""

from __future__ import annotations

import pytest

pytest.importorskip("diffusers")

import torch
from diffusers import DDIMScheduler, MotionAdapter, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from einops import rearrange
from safetensors.torch import load_file

from benchmarks import peers
from motion_module import (
    BaseModel,
    BetaSchedule,
    alphas_cumprod,
    betas,
    build_motion_lora,
    detect_base_model,
    injected,
    peft_state_dict,
    video_group_norms,
    write_motion_module,
)
from motion_module.names import DIFFUSERS
from motion_module.positions import build_positions
from tests.fingerprints.published import domain_adapter
from tests.motion_module.ldm_unet import SD15, SDXL, timestep_embedding
from tests.motion_module.samples import (
    ANIMATEDIFF_SDXL,
    BY_FILE,
    HOTSHOT,
    V1,
    V2,
    V3,
    assert_same,
    fingerprint_of,
    ldm_unet,
    module_of,
    random_tensors,
    relative_error,
    unet_inputs,
)

NUM_FRAMES = 3
TEXT_WIDTH, TIME_WIDTH = 16, 8
CASES = pytest.mark.parametrize(
    ("config", "published"), [(SD15, V2), (SD15, V3), (SDXL, ANIMATEDIFF_SDXL)], ids=["v2", "v3", "SDXL"]
)


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


def sinusoidal(module):
    """The module with computed encodings, which are the only ones diffusers can have here."""
    for name, buffer in module.named_buffers():
        if name.endswith("pos_encoder.pe"):
            buffer.copy_(build_positions(buffer.shape[1], buffer.shape[2]))
    return module


@CASES
def test_injected_diffusers_unet_equals_diffusers_own_motion_unet(config, published):
    unet, module = diffusers_unet(config), sinusoidal(module_of(published))
    _, inputs = run_both_inputs(config)
    for conditions in (inputs, inputs.get("added_cond_kwargs", {})):  # the peer has one timestep a clip
        for name in conditions.keys() & {"timestep", "encoder_hidden_states", "text_embeds"}:
            conditions[name] = conditions[name][::NUM_FRAMES].repeat_interleave(NUM_FRAMES, dim=0)
    with injected(unet, module), module.frames(NUM_FRAMES):
        found = unet(**inputs).sample
    peer = peers.diffusers_unet(unet, module)
    sample = rearrange(inputs.pop("sample"), "(b f) c h w -> b c f h w", f=NUM_FRAMES)
    inputs["timestep"] = inputs["timestep"][::NUM_FRAMES]
    if "added_cond_kwargs" in inputs:
        inputs["added_cond_kwargs"] = {k: v[::NUM_FRAMES] for k, v in inputs["added_cond_kwargs"].items()}
    expected = rearrange(peer(sample, **inputs).sample, "b c f h w -> (b f) c h w")
    assert relative_error(found, expected) <= 1e-4
    assert relative_error(unet(**run_both_inputs(config)[1]).sample, expected) > 0.01


@CASES
def test_ldm_unet_with_the_same_weights_equals_the_diffusers_one(config, published):
    module, ldm, diffusers = module_of(published), ldm_unet(config), diffusers_unet(config)
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


@pytest.mark.parametrize("failing", [False, True], ids=["success", "exception"])
def test_unet_of_diffusers_is_bit_identical_after_use(failing):
    unet, module = diffusers_unet(SD15), module_of(V1)
    before = fingerprint_of(unet)
    inputs = run_both_inputs(SD15)[1]
    try:
        with module.frames(NUM_FRAMES), injected(unet, module), video_group_norms(unet, module):
            unet(**inputs)
            if failing:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert_same(before, fingerprint_of(unet))


def test_base_model_of_a_diffusers_unet_is_told_by_its_levels():
    assert detect_base_model(diffusers_unet(SD15)) is BaseModel.SD15
    assert detect_base_model(diffusers_unet(SDXL)) is BaseModel.SDXL


def test_diffusers_loads_what_is_written_under_its_names(tmp_path):
    module = module_of(BY_FILE["motion-adapter-v1-5-2"])
    write_motion_module(module, tmp_path / "mm.safetensors", naming=DIFFUSERS)
    adapter = MotionAdapter(block_out_channels=module.spec.widths)
    adapter.load_state_dict(load_file(tmp_path / "mm.safetensors"), strict=True)


def test_domain_adapter_loads_into_a_diffusers_unet():
    unet, rank = diffusers_unet(SD15), 4
    tensors = random_tensors(domain_adapter(rank, SD15.widths, SD15.context_dim))
    weights = peft_state_dict(build_motion_lora(tensors))
    unet.load_lora_adapter({key.removeprefix("unet."): value for key, value in weights.items()}, prefix=None)
    layer = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
    key = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.up.weight"
    assert layer.lora_B["default_0"].weight.equal(tensors[key])


@pytest.mark.parametrize(
    ("schedule", "name", "last"),
    [
        (BetaSchedule.LINEAR, "linear", 0.012),
        (BetaSchedule.SCALED_LINEAR, "scaled_linear", 0.012),
        (BetaSchedule.SCALED_LINEAR_SDXL, "scaled_linear", 0.020),
    ],
)
def test_schedule_equals_diffusers_of_the_same_name(schedule, name, last):
    peer = DDIMScheduler(beta_start=0.00085, beta_end=last, beta_schedule=name)
    assert torch.allclose(betas(schedule).float(), peer.betas, atol=1e-7)
    assert torch.allclose(alphas_cumprod(schedule), peer.alphas_cumprod, atol=1e-5)
