"""CameraCtrl in the WebUI and its forks: the camera is followed, leaves no trace, and faults draw nothing."""

from __future__ import annotations

import pytest
import torch

from tests.hosts.webui.conftest import UNET, embedding, write_camera
from tests.hosts.webui.forks import ForgeCheckpoint, LdmPatchedCheckpoint

POSE = "0 0.5 0.9 0.5 0.5 0 0 1 0 0 {} 0 1 0 0 0 0 1 0\n"


@pytest.fixture(scope="module")
def camera_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cameras")
    for name, widths in (("CameraCtrl", UNET.widths), ("wide", (64, 64, 64, 64))):
        write_camera(folder / f"{name}.safetensors", widths)
    return folder


@pytest.fixture
def filmed(webui, camera_files):
    (webui.folder / "models" / "AnimateDiff").symlink_to(camera_files)
    return webui


def asked(**values):
    return {"camera_model": "CameraCtrl", "camera_motion": "pan left", **values}


@pytest.mark.parametrize("checkpoint", [None, ForgeCheckpoint, LdmPatchedCheckpoint])
def test_camera_is_followed_and_leaves_no_trace(filmed, checkpoint):
    if checkpoint is not None:
        filmed.model = filmed.host.shared.sd_model = checkpoint(UNET, embedding)
    plain = filmed.samples({}, steps=1)
    p = filmed.run(asked(), steps=1)
    assert torch.isfinite(p.last_samples).all()
    assert not torch.allclose(p.last_samples, plain)
    assert not torch.allclose(p.last_samples, filmed.samples(asked(camera_motion="zoom in"), steps=1))
    assert torch.equal(filmed.samples({}, steps=1), plain)
    assert "pan left" in p.processed.infotexts[0]


def test_windows_and_a_second_pass_follow_the_camera_and_poses_are_what_moves_are(filmed):
    fields = {"enable_hr": True, "denoising_strength": 0.5, "steps": 1}
    samples = filmed.samples(asked(video_length=6), **fields)
    assert not torch.allclose(samples, filmed.samples(asked(camera_motion="still", video_length=6), **fields))
    lines = "".join(
        POSE.format(1.5 * frame / 16).replace("0.5 0.9", "0.474812461 0.844111024") for frame in range(8)
    )
    by_file = filmed.samples(asked(camera_poses=lines), steps=1)
    assert torch.allclose(by_file, filmed.samples(asked(), steps=1), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"camera_model": "wide"},
            "is for SD1.5 motion modules of 64, 64, 64, 64 channels, but mm.safetensors",
        ),
        ({"camera_model": "none.ckpt"}, "There is no motion module 'none.ckpt'"),
        ({"camera_model": "mm.safetensors"}, "is not CameraCtrl but a motion module"),
        ({"camera_model": None}, "There is a camera_motion, but no camera_model"),
        ({"batch_size": 17}, "batch_size is 17, but must be from 1 to 16"),
        ({"camera_poses": POSE.format(0) * 3}, "camera_poses has 3 cameras, but 4 frames are generated"),
        ({"camera_poses": "no\nposes"}, "Line 2 of camera_poses has 1 numbers"),
        ({"camera_poses": "/etc/hostname"}, "outside the folders that the API may read from"),
    ],
)
def test_fault_is_one_sentence_and_nothing_is_drawn(filmed, values, words):
    filmed.model.calls.clear()
    with pytest.raises(filmed.host.api.AnimateDiffError, match=words):
        filmed.run(asked(**values))
    assert filmed.model.calls == []


def test_camera_with_a_module_that_it_was_not_made_for_is_noted(filmed):
    notes = filmed.run(asked(), steps=1).comments
    family = filmed.extension.modules.load("mm.safetensors").spec.family
    assert any("was made for AnimateDiff v3, not for mm" in note for note in notes) == (
        family != "AnimateDiff v3"
    )
