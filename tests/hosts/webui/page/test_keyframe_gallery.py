import importlib
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def gallery(host):
    return importlib.import_module("animatediff_webui.hosts.webui.page.keyframe_gallery")


@pytest.mark.parametrize(
    ("text", "names", "length", "window", "expected"),
    [
        ("", ["a.png"], 0, 0, "0=a.png"),
        ("", ["a.png", "b.png", "c.png"], 0, 0, "0=a.png; 8=b.png; 15=c.png"),
        ("", ["a.png", "b.png"], 24, 16, "0=a.png; 23=b.png"),
        ("0=a.png", ["b.png", "c.png"], None, 8, "0=a.png; 4=b.png; 7=c.png"),
        ("no keyframe", ["a.png"], 0, 0, "no keyframe"),
    ],
)
def test_uploads_are_spread_over_the_clip(gallery, text, names, length, window, expected):
    assert (
        gallery.with_uploads(text, [Path(name) for name in names], length, window).replace("\n", "; ")
        == expected
    )


def test_pictures_are_shown_with_their_frames(gallery, tmp_path):
    Image.new("RGB", (400, 100), "red").save(tmp_path / "a.png")
    text = gallery.show_keyframes(f"12={tmp_path / 'a.png'}", Path)
    assert text.count("<img src=") == 1
    assert "frame 12" in text


@pytest.mark.parametrize(
    ("text", "sentence"), [("", "no keyframe images"), ("0", "FRAME=FILE"), ("0=/no.png", "no.png")]
)
def test_what_cannot_be_shown_is_a_sentence(gallery, text, sentence):
    shown = gallery.show_keyframes(text, Path)
    assert "animatediff-warning" in shown
    assert sentence in shown
