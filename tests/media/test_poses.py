"""Pose files: what is read, and what is refused."""

from __future__ import annotations

import pytest

from animatediff_webui.media.errors import UnreadableMediaError
from animatediff_webui.media.poses import read_poses


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
