from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from animatediff_webui.media import UnreadableMediaError
from animatediff_webui.media.masks import read_mask


def half(size=(8, 4), side="left"):
    picture = Image.new("L", size)
    left = 0 if side == "left" else size[0] // 2
    picture.paste(255, (left, 0, left + size[0] // 2, size[1]))
    return picture


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp"])
def test_still_picture_is_one_mask_for_all_frames(tmp_path, ending):
    half().save(tmp_path / f"mask.{ending}", quality=100)
    mask = read_mask(str(tmp_path / f"mask.{ending}"), 16)
    assert mask.shape == (1, 4, 8)
    np.testing.assert_allclose(mask[0, :, [0, 7]].T, [[1, 0]] * 4, atol=0.02)
    assert read_mask(half(), 16).shape == (1, 4, 8)


def test_folder_gives_each_frame_its_mask_in_natural_order(tmp_path):
    half().save(tmp_path / "2.png")
    half(side="right").save(tmp_path / "10.png")
    half().save(tmp_path / "11.png")
    masks = read_mask(str(tmp_path), 2)
    assert masks.shape == (2, 4, 8)
    assert masks[:, 0, 0].tolist() == [1, 0]


def test_animated_picture_gives_each_frame_its_mask(tmp_path):
    frames = [half(), half(side="right"), half()]
    frames[0].save(tmp_path / "masks.gif", save_all=True, append_images=frames[1:], duration=100)
    assert read_mask(str(tmp_path / "masks.gif"), 3)[:, 0, 0].tolist() == [1, 0, 1]


def test_large_masks_are_kept_small_and_long_ones_too(tmp_path):
    assert read_mask(Image.new("L", (2000, 1000), 255), 16).shape == (1, 256, 512)
    assert read_mask(Image.new("L", (2000, 1), 255), 16).shape == (1, 1, 512)


def test_fewer_masks_than_frames_are_refused(tmp_path):
    for name in ("a.png", "b.png"):
        half().save(tmp_path / name)
    with pytest.raises(UnreadableMediaError, match="2 masks, but the clip has 16 frames"):
        read_mask(str(tmp_path), 16)


@pytest.mark.parametrize("path", ["missing.png", "http://example.org/a.png", "../a.png"])
def test_what_is_no_local_file_is_refused(path):
    with pytest.raises(UnreadableMediaError):
        read_mask(path, 16)
