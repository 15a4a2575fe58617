"""Modules that animate a picture, in the WebUI and its forks: whose picture, and what is refused."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from motion_module import MotionModuleSpec
from tests.core.arguments import base64_png
from tests.hosts.webui.conftest import UNET, embedding, write_module
from tests.hosts.webui.forks import ForgeCheckpoint, LdmPatchedCheckpoint

PIA = MotionModuleSpec(family="PIA", widths=UNET.widths, has_mid_block=True, conv_in_channels=9)
I2V = MotionModuleSpec(
    family="AnimateLCM-I2V", widths=UNET.widths, has_mid_block=True, has_picture_encoder=True
)


@pytest.fixture(params=[None, ForgeCheckpoint, LdmPatchedCheckpoint])
def pia(request, webui):
    if request.param is not None:
        webui.model = webui.host.shared.sd_model = request.param(UNET, embedding)
    path = webui.folder / "models" / "AnimateDiff" / "pia.safetensors"
    path.parent.mkdir()
    write_module(path, PIA)
    return webui


def picture(color="red"):
    return Image.new("RGB", (64, 64), color)


def asked(**values):
    return {"model": "pia.safetensors", **values}


def test_picture_is_seen_in_txt2img_and_leaves_no_trace(pia):
    plain = pia.samples(steps=2)
    red = pia.samples(asked(motion_picture=base64_png((64, 64))), steps=2)
    blue = pia.samples(asked(motion_picture=picture("blue"), affinity="large"), steps=2)
    less = pia.samples(asked(motion_picture=picture("blue")), steps=2)
    assert len(red) == 4
    assert torch.isfinite(red).all()
    assert not torch.allclose(red, blue)
    assert not torch.allclose(blue, less)
    assert torch.equal(pia.samples(steps=2), plain)


def test_picture_of_img2img_is_the_one_that_is_animated_unless_another_is_given(pia):
    fields = {"is_img2img": True, "init_images": [picture()], "steps": 2, "denoising_strength": 1.0}
    own = pia.samples(asked(), **fields)
    assert torch.allclose(pia.samples(asked(motion_picture=picture()), **fields), own)
    assert not torch.allclose(pia.samples(asked(motion_picture=picture("blue")), **fields), own)


def test_hires_fix_shows_the_picture_in_both_passes(pia):
    fields = {"enable_hr": True, "denoising_strength": 0.5, "steps": 2}
    samples = pia.samples(asked(motion_picture=picture()), **fields)
    assert not torch.allclose(samples, pia.samples(asked(motion_picture=picture("blue")), **fields))


def test_missing_picture_is_refused_before_anything_is_drawn(pia):
    pia.model.calls.clear()
    with pytest.raises(
        pia.host.api.AnimateDiffError, match=r"pia.safetensors \(PIA\) animates a picture, but"
    ):
        pia.run(asked())
    assert pia.model.calls == []


def test_picture_is_seen_by_animatelcm_i2v_in_txt2img_and_img2img(webui):
    path = webui.folder / "models" / "AnimateDiff" / "i2v.safetensors"
    path.parent.mkdir()
    write_module(path, I2V)
    asked = {"model": "i2v.safetensors"}
    red, blue = (
        webui.samples({**asked, "motion_picture": picture(color)}, steps=1) for color in ("red", "blue")
    )
    assert not torch.allclose(red, blue)
    assert len(webui.samples(asked, is_img2img=True, init_images=[picture()], steps=2)) == 4
    with pytest.raises(webui.host.api.AnimateDiffError, match=r"\(AnimateLCM-I2V\) animates a picture"):
        webui.run(asked)


def test_picture_that_no_module_takes_is_noted(webui):
    p = webui.run({"motion_picture": picture()}, steps=1)
    assert any("The motion picture is not used, because mm.safetensors" in note for note in p.comments)
