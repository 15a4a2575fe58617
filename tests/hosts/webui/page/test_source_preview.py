import importlib
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def preview(host):
    return importlib.import_module("animatediff_webui.hosts.webui.page.source_preview").preview_source


@pytest.fixture
def folder(tmp_path):
    for index in range(6):
        Image.new("RGB", (96, 64), (index * 40, 0, 0)).save(tmp_path / f"{index}.png")
    return tmp_path


def test_first_and_last_frame_size_and_number_of_the_chosen_part_are_shown(preview, folder):
    text = preview({"video_path": str(folder), "video_start": 1, "video_stride": 2}, (96, 64), Path)
    assert text.count("<img src=") == 2
    assert "first frame (1)" in text
    assert "last frame (5)" in text
    assert "96 x 64" in text
    assert "<td>3</td>" in text
    assert "animatediff-warning" not in text


def test_size_of_another_shape_is_warned_of(preview, folder):
    assert "cropped or stretched" in preview({"video_path": str(folder)}, (512, 512), Path)


def test_what_is_no_source_is_its_sentence(preview, folder):
    assert "no video source" in preview({}, None, Path)
    broken = folder / "x.mp4"
    broken.write_bytes(b"no video")
    assert "animatediff-warning" in preview({"video_source": str(broken)}, None, Path)
