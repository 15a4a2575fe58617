from __future__ import annotations

import json

import pytest
import torch

from motion_module import (
    BaseModel,
    BetaSchedule,
    BrokenMotionModuleError,
    MotionModuleError,
    NotAMotionModuleError,
    Site,
    build_motion_module,
    detect_motion_lora,
    detect_motion_module,
    load_motion_module,
    write_motion_module,
)
from tests.fingerprints.published import FOLDER, MOTION_MODULES
from tests.motion_module.samples import BY_FILE, V2, V3, module_of, weights_of

SCALED, TO_0_020 = BetaSchedule.SCALED_LINEAR, BetaSchedule.SCALED_LINEAR_SDXL
LINEAR = BetaSchedule.LINEAR
WISHES = {
    # file: base model, trained frames, most frames, GroupNorm across frames, betas
    "mm_sd_v15": (BaseModel.SD15, 16, 24, True, LINEAR),
    "mm_sd_v15_v2": (BaseModel.SD15, 16, 32, False, LINEAR),
    "v3_sd15_mm": (BaseModel.SD15, 16, 32, False, LINEAR),
    "animatediff_lightning_4step_comfyui": (BaseModel.SD15, 16, 32, False, LINEAR),
    "AnimateLCM_sd15_t2v": (BaseModel.SD15, 16, 64, False, LINEAR),
    "lt_long_mm_16_64_frames_v1.1": (BaseModel.SD15, 64, 64, False, LINEAR),
    "lt_long_mm_32_frames": (BaseModel.SD15, 32, 64, False, LINEAR),
    "pia": (BaseModel.SD15, 16, 32, False, LINEAR),
    "AnimateLCM_sd15_i2v": (BaseModel.SD15, 16, 64, False, LINEAR),
    "hm_animatediff": (BaseModel.SD15, 16, 32, False, LINEAR),
    "motion-adapter-v1-5-2": (BaseModel.SD15, 16, 32, False, LINEAR),
    "motion-adapter-sdxl-beta": (BaseModel.SDXL, 16, 32, False, LINEAR),
    "hsxl_temporal_layers": (BaseModel.SDXL, 8, 24, True, SCALED),
    "hsxl_temporal_layers_renamed": (BaseModel.SDXL, 8, 24, True, SCALED),
    "mm_sdxl_v10_beta": (BaseModel.SDXL, 16, 32, False, TO_0_020),
}


def fingerprint(name):
    shapes = json.loads((FOLDER / f"{name}.json").read_text())
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


@pytest.mark.parametrize("published", MOTION_MODULES, ids=lambda p: p.file_name)
def test_published_file_is_told_by_its_keys_and_shapes(published):
    spec = detect_motion_module(fingerprint(published.file_name), published.file_name)
    assert spec is not None
    assert spec.family == published.family
    assert spec.widths == published.widths
    assert spec.has_mid_block == published.mid_block
    found = (
        spec.base_model,
        spec.context_length,
        spec.max_context_length,
        spec.video_group_norm,
        spec.beta_schedule,
    )
    assert found == WISHES[published.file_name]


@pytest.mark.parametrize("published", MOTION_MODULES, ids=lambda p: p.file_name)
def test_published_file_builds_a_module_with_all_of_its_weights(published):
    tensors = fingerprint(published.file_name)
    module = build_motion_module(tensors, published.file_name)
    shared = sum("pos_embed" in key for key in tensors)  # diffusers keeps one encoding for two attentions
    lacking = 0 if published.positions or published.family == "AnimateLCM" else 2 * len(module.layers())
    assert module.spec.has_picture_encoder == published.picture_encoder
    assert len(module.state_dict()) == len(tensors) + shared + lacking


def test_sparsectrl_encoder_is_a_controlnet_and_no_motion_module():
    tensors = fingerprint("v3_sd15_sparsectrl_rgb")
    assert detect_motion_module(tensors) is None
    with pytest.raises(NotAMotionModuleError, match="SparseCtrl encoder, which is a ControlNet"):
        build_motion_module(tensors, "v3_sd15_sparsectrl_rgb")


@pytest.mark.parametrize(("name", "kind"), [("v2_lora_PanLeft", "motion LoRA"), ("v3_sd15_adapter", "LoRA")])
def test_lora_is_no_motion_module_and_is_said_to_be_a_lora(name, kind):
    with pytest.raises(NotAMotionModuleError, match=f"not a motion module but a {kind}: choose it as a LoRA"):
        build_motion_module(fingerprint(name), name)


def test_published_loras_are_told_apart():
    motion, adapter = (
        detect_motion_lora(fingerprint(name)) for name in ("v2_lora_PanLeft", "v3_sd15_adapter")
    )
    assert (motion.kind, len(motion.temporal), len(motion.spatial)) == ("motion LoRA", 20 * 8, 0)
    assert (adapter.kind, len(adapter.temporal), len(adapter.spatial)) == ("UNet LoRA", 0, 16 * 8)


def test_unet_with_four_input_channels_beside_the_motion_keys_is_not_pia():
    tensors = weights_of(V3) | {"conv_in.weight": torch.zeros(32, 4, 3, 3), "conv_in.bias": torch.zeros(32)}
    assert detect_motion_module(tensors).family == "AnimateDiff v3"


def test_longer_encoding_than_published_raises_the_limit():
    tensors = weights_of(V2)
    for key in tensors:
        if key.endswith("pos_encoder.pe"):
            tensors[key] = torch.zeros(1, 48, tensors[key].shape[-1])
    spec = detect_motion_module(tensors)
    assert (spec.family, spec.max_context_length) == ("AnimateDiff v2", 48)


def test_long_module_takes_windows_of_64_frames_and_keeps_its_family_where_its_name_is_lost(tmp_path):
    module = module_of(BY_FILE["lt_long_mm_32_frames"])
    write_motion_module(module, tmp_path / "renamed.safetensors")
    assert load_motion_module(tmp_path / "renamed.safetensors").spec == module.spec
    hidden = torch.randn(64, 32, 1, 1)
    with module.frames(64):
        assert module.layers()[Site("down_blocks", 0, 0)](hidden).isfinite().all()
    with pytest.raises(MotionModuleError, match="animates 1 to 64 frames at once, not 65"), module.frames(65):
        pass


LAYER = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0"
ELSEWHERE = {
    "FancyVideo's": (f"{LAYER}.attention_blocks.0.to_q.weight", "module.fps_embedding.linear.weight"),
    "MotionCtrl's": (f"{LAYER}.attention_blocks.0.to_q.weight", f"{LAYER}.cc_projection.weight"),
    "Hallo": (f"denoising_unet.{LAYER}.attention_blocks.0.to_q.weight", "audioproj.proj1.weight"),
    "Stable Video Diffusion": ("model.diffusion_model.input_blocks.1.1.time_stack.0.attn1.to_q.weight",),
    "ZeroScope's or AnimateAnything's": ("down_blocks.0.temp_attentions.0.proj_in.weight",),
    "CogVideo, or FlashVideo": ("model.diffusion_model.transformer.layers.0.input_layernorm.weight",),
    "Wan, HunyuanVideo or LTX-Video": ("blocks.0.self_attn.q.weight", "patch_embedding.weight"),
}


@pytest.mark.parametrize(("words", "keys"), ELSEWHERE.items())
def test_file_of_another_video_model_is_refused_by_its_name(words, keys):
    tensors = {key: torch.zeros(1) for key in keys}
    assert detect_motion_module(tensors) is None
    with pytest.raises(NotAMotionModuleError, match=f"not a motion module but .*{words}.*: nothing here"):
        build_motion_module(tensors, "x")


def test_module_without_encodings_that_is_not_animatelcm_is_broken():
    tensors = {key: tensor for key, tensor in weights_of(V3).items() if not key.endswith("pos_encoder.pe")}
    with pytest.raises(
        BrokenMotionModuleError, match=r"no position encoding down_blocks\.0\S+pos_encoder\.pe"
    ):
        detect_motion_module(tensors, "cut")


def test_nothing_of_a_motion_module_is_detected_as_none():
    assert detect_motion_module({"encoder.conv.weight": torch.zeros(1)}) is None
