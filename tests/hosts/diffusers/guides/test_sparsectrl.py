"""SparseCtrl: pictures of some frames count for all, as diffusers' pipeline has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AnimateDiffSparseControlNetPipeline
from einops import rearrange

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers.vae import encode_frame
from standalone import ControlNet, SparseCtrl
from tests.hosts.diffusers.guides.networks import (
    fresh_controlnet,
    fresh_sparsectrl,
    write_sparsectrl_file,
)
from tests.hosts.diffusers.peers import as_clip, as_rows, noise_of, parts_of
from tests.media.clips import frame

FRAMES = 4
QUICK = {"seed": 1, "steps": 2, "sampler_name": "DDIM", "cfg_scale": 3.0}
SHORT = {**QUICK, "video_length": FRAMES, "batch_size": FRAMES}
PICTURES = {0: frame(0, (64, 64)), 3: frame(3, (64, 64))}


@pytest.fixture(scope="module")
def network(animator):
    return fresh_sparsectrl(animator.pipeline.unet)


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sparsectrl") / "rgb"
    network.save_pretrained(path)
    return path


@pytest.mark.parametrize("takes_latents", [True, False], ids=["rgb", "scribble"])
def test_clip_with_keyframes_equals_diffusers_own_for_one_window(takes_latents, animator, tmp_path):
    network = fresh_sparsectrl(animator.pipeline.unet, takes_latents=takes_latents)
    network.save_pretrained(tmp_path)
    ours = animator.generate("a circle", sparsectrl=SparseCtrl(tmp_path, 0.8, keyframes=PICTURES), **SHORT)
    parts = parts_of(animator)
    peer = AnimateDiffSparseControlNetPipeline(**parts, controlnet=network)
    peer.set_progress_bar_config(disable=True)
    if takes_latents:  # its own latents are drawn at random around the middle
        latents = [encode_frame(peer.vae, each, torch.device("cpu")) for each in PICTURES.values()]
        peer.prepare_image = lambda *_given: rearrange(torch.cat(latents), "k c h w -> 1 c k h w")
    theirs = peer(
        "a circle", num_frames=FRAMES, width=64, height=64, num_inference_steps=QUICK["steps"],
        guidance_scale=QUICK["cfg_scale"], latents=as_clip(noise_of(1, FRAMES)), output_type="latent",
        conditioning_frames=list(PICTURES.values()), controlnet_frame_indices=list(PICTURES),
        controlnet_conditioning_scale=0.8,
    ).frames  # fmt: skip
    torch.testing.assert_close(ours.latents, as_rows(theirs), rtol=1e-3, atol=1e-3)


def test_published_files_are_read_as_the_folder_is(animator, network, saved, tmp_path):
    file = write_sparsectrl_file(network, tmp_path / "sparsectrl_rgb.ckpt")
    found, expected = (
        animator.generate("a circle", sparsectrl=SparseCtrl(each, keyframes=PICTURES), **SHORT).latents
        for each in (file, saved)
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_windows_without_a_keyframe_are_as_without_it_and_controlnets_go_with_it(animator, saved, tmp_path):
    long = {**QUICK, "video_length": 6, "batch_size": 3, "context_scheduler": "batched"}
    plain = animator.generate("a circle", **long).latents
    clip = animator.generate("a circle", sparsectrl=SparseCtrl(saved, keyframes={4: PICTURES[0]}), **long)
    assert torch.equal(clip.latents[:3], plain[:3])
    assert not torch.allclose(clip.latents[3:], plain[3:], atol=1e-2)
    fresh_controlnet(animator.pipeline.unet).save_pretrained(tmp_path)
    both = animator.generate(
        "a circle",
        sparsectrl=SparseCtrl(saved, keyframes={4: PICTURES[0]}),
        controlnet=ControlNet(tmp_path, image=PICTURES[3]),
        **long,
    )
    assert not torch.allclose(both.latents[3:], clip.latents[3:], atol=1e-2)
    assert "Keyframes: 4" in both.infotext


@pytest.mark.parametrize(
    ("keyframes", "words"),
    [
        ({}, "has no keyframes"),
        ({4: PICTURES[0]}, r"Keyframe 4 of SparseCtrl rgb is past the last frame \(3\)"),
        ({-1: PICTURES[0]}, "no number of a frame"),
        ({"a": PICTURES[0]}, "no number of a frame"),
        ({0: "none.png"}, "none.png is not an existing file"),
        ({0: None}, "keyframe is None"),
    ],
)  # fmt: skip
def test_keyframes_that_cannot_be_are_one_sentence(keyframes, words, animator, saved):
    with pytest.raises(UserError, match=words):
        animator.generate("a", sparsectrl=SparseCtrl(saved, keyframes=keyframes), **SHORT)


def test_what_is_no_sparsectrl_or_knows_too_few_frames_is_refused(animator, saved, tmp_path):
    fresh_controlnet(animator.pipeline.unet).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="holds a ControlNetModel, but must hold a SparseControlNetModel"):
        animator.generate("a", sparsectrl=SparseCtrl(tmp_path, keyframes=PICTURES), **SHORT)
    with pytest.raises(UserError, match="knows 32 frames at once, but a window has 33"):
        animator.generate(
            "a", sparsectrl=SparseCtrl(saved, keyframes=PICTURES), seed=1, steps=1, video_length=33,
            batch_size=33, view_length=16,
        )  # fmt: skip
