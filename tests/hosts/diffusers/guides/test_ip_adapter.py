"""IP-Adapters: pictures say what prompts cannot, as diffusers' pipeline has it, and travel over frames."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AnimateDiffPipeline
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers.samplers import build_scheduler, find_sampler
from motion_module.errors import MotionModuleError
from standalone import Animator, IpAdapter
from tests.hosts.diffusers.guides.networks import write_ip_adapter
from tests.hosts.diffusers.peers import as_clip, as_rows, noise_of, parts_of
from tests.hosts.diffusers.stand_in import write_xl_checkpoint
from tests.hosts.diffusers.test_animator import fingerprint
from tests.media.clips import frame

FRAMES = 4
QUICK = {"seed": 1, "steps": 2, "sampler_name": "DDIM", "cfg_scale": 3.0}
SHORT = {**QUICK, "video_length": FRAMES, "batch_size": FRAMES}


@pytest.fixture(scope="module")
def adapter(animator, tmp_path_factory) -> Path:
    return write_ip_adapter(animator.pipeline.unet, tmp_path_factory.mktemp("ip"))


@pytest.mark.parametrize("kind", ["plain", "plus", "full"])
def test_clip_with_a_picture_equals_diffusers_own_for_one_window(kind, animator, tmp_path):
    unet = animator.pipeline.unet
    adapter = write_ip_adapter(unet, tmp_path, kind=kind)
    before = fingerprint(unet), list(map(type, unet.attn_processors.values())), dict(unet.config)
    ours = animator.generate("a circle", ip_adapter=IpAdapter(adapter, 0.7, images=frame(1)), **SHORT)
    assert (fingerprint(unet), list(map(type, unet.attn_processors.values())), dict(unet.config)) == before
    encoder = CLIPVisionModelWithProjection.from_pretrained(adapter.parent / "image_encoder")
    processor = CLIPImageProcessor(size=32, crop_size=32)
    peer = AnimateDiffPipeline(**parts_of(animator), image_encoder=encoder, feature_extractor=processor)
    peer.load_ip_adapter(
        str(adapter.parent), subfolder="", weight_name=adapter.name, image_encoder_folder=None,
        local_files_only=True,
    )  # fmt: skip
    peer.set_ip_adapter_scale(0.7)
    peer.set_progress_bar_config(disable=True)
    theirs = peer(
        "a circle", num_frames=FRAMES, width=64, height=64, num_inference_steps=QUICK["steps"],
        guidance_scale=QUICK["cfg_scale"], latents=as_clip(noise_of(1, FRAMES)), output_type="latent",
        ip_adapter_image=frame(1),
    ).frames  # fmt: skip
    torch.testing.assert_close(ours.latents, as_rows(theirs), rtol=1e-3, atol=1e-3)


def test_pictures_travel_in_windows_and_leave_nothing_behind(still_animator, adapter):
    long = {**QUICK, "video_length": 6, "batch_size": 3, "context_scheduler": "batched"}
    plain = still_animator.generate("a circle", **long).latents
    images = {0: frame(0), 5: frame(3)}
    travel = still_animator.generate("a circle", ip_adapter=IpAdapter(adapter, images=images), **long)
    first, last = (
        still_animator.generate("a circle", ip_adapter=IpAdapter(adapter, images=each), **long).latents
        for each in images.values()
    )
    torch.testing.assert_close(travel.latents[0], first[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(travel.latents[5], last[5], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(travel.latents[2], first[2], atol=1e-2)
    assert torch.equal(still_animator.generate("a circle", **long).latents, plain)


def test_sdxl_clip_with_a_picture_equals_diffusers_own(tmp_path):
    folder = write_xl_checkpoint(tmp_path / "xl")
    still = Animator(checkpoint=folder, motion_module="none")
    adapter = write_ip_adapter(still.pipeline.unet, tmp_path, kind="plus")
    asked = {**SHORT, "beta_schedule": "checkpoint", "video_length": 2, "batch_size": 2}
    asked["negative_prompt"] = "blue"  # an empty one is no prompt at all to the other pipeline
    ours = still.generate("a circle", ip_adapter=IpAdapter(adapter, 0.7, images=frame(1)), **asked)
    encoder = CLIPVisionModelWithProjection.from_pretrained(tmp_path / "image_encoder")
    scheduler = build_scheduler(*find_sampler("DDIM"), still.pipeline.scheduler.config, None)
    parts = {**still.pipeline.components, "scheduler": scheduler, "image_encoder": encoder}
    parts["feature_extractor"] = CLIPImageProcessor(size=32, crop_size=32)
    peer = type(still.pipeline)(**parts, add_watermarker=False)
    peer.load_ip_adapter(
        str(tmp_path),
        subfolder="",
        weight_name=adapter.name,
        image_encoder_folder=None,
        local_files_only=True,
    )
    peer.set_ip_adapter_scale(0.7)
    peer.set_progress_bar_config(disable=True)
    theirs = peer(
        ["a circle"] * 2, negative_prompt=["blue"] * 2, num_inference_steps=2, guidance_scale=3.0,
        latents=noise_of(1, 2), width=64, height=64, output_type="latent", ip_adapter_image=frame(1),
    ).images  # fmt: skip
    torch.testing.assert_close(ours.latents, theirs, rtol=1e-3, atol=1e-3)


def test_image_encoder_of_another_adapter_is_passed_over_or_refused(animator, tmp_path):
    models, others = tmp_path / "models", tmp_path / "sdxl_models"
    models.mkdir()
    others.mkdir()
    adapter = write_ip_adapter(animator.pipeline.unet, models).rename(others / "ip-adapter.safetensors")
    large = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=8, projection_dim=20,
    )  # fmt: skip
    CLIPVisionModelWithProjection(large).save_pretrained(others / "image_encoder")
    found = animator.generate("a", ip_adapter=IpAdapter(adapter, images=frame(1)), **SHORT)
    assert torch.isfinite(found.latents).all()
    named = IpAdapter(adapter, images=frame(1), image_encoder=others / "image_encoder")
    words = "is not the one of the IP-Adapter ip-adapter.safetensors .its projection_dim is 20, wanted is 12"
    with pytest.raises(UserError, match=words):
        animator.generate("a", ip_adapter=named, **SHORT)


def test_adapter_that_recognises_faces_is_refused(animator, adapter, tmp_path):
    tensors = load_file(adapter)
    tensors["image_proj.proj.2.weight"] = tensors.pop("image_proj.proj.weight")
    save_file(tensors, tmp_path / "faceid.safetensors")
    with pytest.raises(UserError, match="needs their recognition: choose one without FaceID"):
        animator.generate(
            "a", ip_adapter=IpAdapter(tmp_path / "faceid.safetensors", images=frame(0)), **SHORT
        )


def test_what_cannot_be_is_one_sentence(animator, adapter, checkpoint, tmp_path):
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(adapter.read_bytes())
    unet = checkpoint / "unet" / "diffusion_pytorch_model.safetensors"
    for asked, words in (
        (IpAdapter(alone, images=frame(0)), "no image encoder beside it"),
        (IpAdapter(unet, images=frame(0)), "is not an IP-Adapter but"),
        (IpAdapter(adapter, images={4: frame(0)}), r"Keyframe 4 of IP-Adapter ip-adapter is past"),
    ):
        with pytest.raises((UserError, MotionModuleError), match=words):
            animator.generate("a", ip_adapter=asked, **SHORT)
    with pytest.raises(UserError, match="has no keyframes"):
        IpAdapter(adapter, images={})
