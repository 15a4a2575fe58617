"""Pose files: what is read, and what is refused."""

from __future__ import annotations

import pytest

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.media.errors import UnreadableMediaError
from animatediff_webui.media.poses import read_poses, with_poses


def test_file_is_read_and_lines_are_taken_as_they_are(tmp_path):
    (tmp_path / "poses.txt").write_text("a\nb\n")
    assert read_poses(str(tmp_path / "poses.txt")) == read_poses("a\nb\n") == "a\nb\n"


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "poses.bin").write_bytes(b"\xff\xfe\x00\x9d")
    for path, words in (
        ("poses.bin", "is no text"),
        ("", "is no pose file"),
        ("none.txt", "is not an existing"),
    ):
        with pytest.raises(UnreadableMediaError, match=words):
            read_poses(str(tmp_path / path))


def test_parameters_get_the_lines_of_the_file_that_a_camera_model_follows(tmp_path):
    path = tmp_path / "poses.txt"
    path.write_text("a")
    asked = parse_parameters({"camera_model": "c.ckpt", "camera_poses": str(path)})
    read = with_poses(asked)
    assert read.motion.camera.poses == "a\n"
    assert with_poses(read) == read
    for unread in ({}, {"camera_poses": str(path)}, {"camera_model": "c.ckpt", "camera_motion": "still"}):
        assert with_poses(parse_parameters(unread)) == parse_parameters(unread)
    path.unlink()
    with pytest.raises(ParameterError, match=r"camera_poses cannot be read: .* is not an existing"):
        with_poses(asked)
