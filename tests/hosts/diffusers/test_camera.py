"""Clips that are told of a camera: each window follows its own, and what does not go together is refused."""

from __future__ import annotations

import pytest
from safetensors.torch import save_file

from animatediff_webui.core.errors import ParameterError, UserError
from standalone import Animator
from tests.fingerprints.published import camera_ctrl
from tests.hosts.diffusers.stand_in import SPEC, write_module
from tests.motion_module.samples import random_tensors

SHORT = {"seed": 1, "steps": 1, "video_length": 4, "batch_size": 4}


@pytest.fixture(scope="module")
def filmed(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("camera")
    parts = camera_ctrl(SPEC.widths).values()
    tensors = {key: value for part in parts for key, value in random_tensors(part).items()}
    save_file(tensors, folder / "CameraCtrl.safetensors")
    return Animator(checkpoint=checkpoint, motion_module=write_module(folder / "v3.safetensors", SPEC))


def test_camera_is_followed_in_each_window_and_leaves_no_trace(filmed):
    plain = filmed.generate("a", **SHORT).latents
    long = {**SHORT, "video_length": 8, "noise_offset": 0, "context_scheduler": "batched", "closed_loop": "N"}
    told = {"camera_model": "CameraCtrl", "camera_motion": "pan left"}
    clip = filmed.generate("a", **long, **told)
    still = filmed.generate("a", **long, **{**told, "camera_motion": "still"})
    assert not clip.latents.allclose(still.latents, atol=1e-4)
    # Both windows see the same way of the camera, each from its own beginning.
    assert clip.latents[:4].allclose(clip.latents[4:], atol=1e-4)
    together = filmed.generate("a", **long, **told, window_batch=2).latents
    assert together.allclose(clip.latents, atol=1e-4)
    assert filmed.generate("a", **SHORT).latents.equal(plain)


def test_pose_file_is_read_and_faults_are_refused_before_anything_starts(filmed, animator, tmp_path):
    def fail(session):
        raise AssertionError

    line = "0 0.5 0.9 0.5 0.5 0 0 1 0 0 0 0 1 0 0 0 0 1 0\n"
    (tmp_path / "poses.txt").write_text(line * 4)
    named = {**SHORT, "camera_model": "CameraCtrl"}
    assert filmed.generate("a", **named, camera_poses=tmp_path / "poses.txt").latents.isfinite().all()
    (tmp_path / "poses.txt").write_text(line * 3)
    for asked, words in (
        ({"camera_poses": str(tmp_path / "poses.txt")}, "has 3 cameras, but 4 frames are generated"),
        ({"camera_poses": str(tmp_path / "none.txt")}, "camera_poses cannot be read: .* is not an existing"),
        ({}, "nothing says how the camera moves"),
    ):
        with pytest.raises(ParameterError, match=words):
            filmed.generate("a", **named, **asked, on_start=fail)
    with pytest.raises(UserError, match="There is no motion module 'other'"):
        filmed.generate("a", **{**named, "camera_model": "other"}, camera_motion="still", on_start=fail)
