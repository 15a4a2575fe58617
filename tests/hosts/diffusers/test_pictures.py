"""Clips of modules that animate a picture: PIA's are diffusers' own, and a missing picture is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import PIAPipeline
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import nn

from animatediff_webui.core.errors import ParameterError
from standalone import Animator
from tests.hosts.diffusers.peers import as_clip, as_rows, noise_of, parts_of
from tests.hosts.diffusers.stand_in import SPEC, write_module
from tests.media.clips import frame

FRAMES = 7
QUICK = {"seed": 1, "steps": 1, "batch_size": FRAMES, "sampler_name": "DDIM", "cfg_scale": 3.0}
SHORT = {"seed": 1, "steps": 1, "video_length": 4, "batch_size": 4}


@pytest.fixture(scope="module")
def pia(checkpoint, tmp_path_factory):
    spec = replace(SPEC, family="PIA", conv_in_channels=9)
    file = write_module(tmp_path_factory.mktemp("pia") / "pia.safetensors", spec)
    return Animator(checkpoint=checkpoint, motion_module=file)


@pytest.mark.parametrize(("affinity", "number"), [("small", 0), ("2", 2)])
def test_clip_of_one_window_equals_diffusers_own(pia, monkeypatch, affinity, number):
    picture = frame(1, (64, 64))
    ours = pia.generate("a circle", motion_picture=picture, affinity=affinity, video_length=FRAMES, **QUICK)
    peer = PIAPipeline(**parts_of(pia))
    first = nn.Conv2d(9, 32, 3, padding=1)
    first.load_state_dict(pia.module.conv_in.state_dict())
    peer.unet.conv_in = first
    # Of what the VAE thinks likely, diffusers draws one picture.
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, _generator: self.mode())
    with torch.inference_mode():
        theirs = peer(
            picture,
            "a circle",
            num_frames=FRAMES,
            height=64,
            width=64,
            num_inference_steps=QUICK["steps"],
            guidance_scale=QUICK["cfg_scale"],
            latents=as_clip(noise_of(1, FRAMES)),
            motion_scale=number,
            output_type="latent",
        ).frames
    torch.testing.assert_close(ours.latents, as_rows(theirs), rtol=5e-3, atol=5e-3)


def test_picture_to_begin_with_is_the_one_that_is_animated_and_each_window_sees_it(pia):
    picture, other = frame(1, (64, 64)), frame(2, (64, 64))
    named = {**SHORT, "denoising_strength": 1.0}
    begun = pia.generate("a", init_image=picture, **named).latents
    assert begun.equal(pia.generate("a", init_image=picture, motion_picture=picture, **named).latents)
    assert not begun.allclose(pia.generate("a", init_image=picture, motion_picture=other, **named).latents)
    long = {**SHORT, "video_length": 8, "motion_picture": picture}
    own = pia.generate("a", **long).latents
    faded = pia.generate("a", **long, affinity=[1] * 7 + [0]).latents
    assert not own[-1].allclose(faded[-1])


def test_animatelcm_i2v_sees_the_picture_in_every_window(checkpoint, tmp_path):
    spec = replace(SPEC, family="AnimateLCM-I2V", has_picture_encoder=True)
    animator = Animator(checkpoint=checkpoint, motion_module=write_module(tmp_path / "i2v.safetensors", spec))
    long = {**SHORT, "video_length": 8, "noise_offset": 0, "context_scheduler": "batched", "closed_loop": "N"}
    first, second = (
        animator.generate("a", **long, motion_picture=frame(n, (64, 64))).latents for n in (1, 2)
    )
    assert not first.allclose(second)
    assert first[:4].allclose(first[4:], atol=1e-5)
    with pytest.raises(ParameterError, match=r"i2v \(AnimateLCM-I2V\) animates a picture"):
        animator.generate("a", **SHORT)


def test_missing_picture_is_refused_before_anything_starts_and_a_needless_one_is_noted(pia, animator):
    def fail(session):
        raise AssertionError

    with pytest.raises(ParameterError, match=r"pia \(PIA\) animates a picture, but there is none"):
        pia.generate("a", **SHORT, on_start=fail)
    plain = animator.generate("a", **SHORT)
    clip = animator.generate("a", **SHORT, motion_picture=frame(1, (64, 64)), affinity="large")
    assert clip.latents.equal(plain.latents)
    assert (
        "The motion picture is not used, because stand_in takes none: PIA and AnimateLCM-I2V do."
        in clip.notes
    )
