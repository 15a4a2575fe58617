from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.image import encode_image
from animatediff_webui.core.keyframes import spread_frames
from animatediff_webui.core.parameters import parse_parameters, to_api


def read(raw):
    return parse_parameters({"keyframes": raw}).source.keyframes


def frames_and_pictures(raw):
    return [(each.frame, each.picture) for each in read(raw).keyframes]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("0=first.png; 15=last.png", [(0, "first.png"), (15, "last.png")]),
        ("7 = C:\\a b; c.png\n0=d=e.png;", [(0, "d=e.png"), (7, "C:\\a b; c.png")]),
        ([{"frame": 3, "image": "b.png"}, {"frame": 1, "image": "a.png"}], [(1, "a.png"), (3, "b.png")]),
        ("", []),
        ([], []),
    ],
)
def test_keyframes_are_read_in_the_order_of_their_frames(raw, found):
    assert frames_and_pictures(raw) == found


def test_base64_is_a_picture_and_reads_back_as_text_and_as_json():
    url = encode_image(Image.new("RGB", (64, 64), "red"))
    keyframes = read(f"0={url}; 4=a.png")
    assert keyframes.keyframes[0].picture.getpixel((0, 0)) == (255, 0, 0)
    sent = to_api(parse_parameters({"keyframes": keyframes}))["keyframes"]
    assert sent == [{"frame": 0, "image": url}, {"frame": 4, "image": "a.png"}]
    assert read(str(keyframes)) == keyframes == read(sent)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("first.png", "must be FRAME=FILE, such as 0=first.png"),
        ("0=", "must be FRAME=FILE"),
        ("-1=a.png", "must be FRAME=FILE"),
        ("0=a.png; 0=b.png", "Keyframe 0 is given twice"),
        ([{"frame": True, "image": "a.png"}], "the frame True, but it must be a number"),
        ([{"frame": 0}], "the image None, but it must be base64"),
        ([{"frame": 0, "picture": "a.png"}], "has no picture: there are frame, image"),
        ([5], "keyframes is"),
        (5, "keyframes is 5, but must be pictures of frames"),
    ],
)
def test_what_are_no_keyframes_is_refused_in_one_sentence(raw, message):
    with pytest.raises(ParameterError, match=message):
        read(raw)


@given(st.integers(1, 20), st.lists(st.integers(0, 99), unique=True), st.integers(1, 200))
def test_more_pictures_are_spread_behind_what_is_there_one_frame_each(count, taken, num_frames):
    frames = spread_frames(count, taken, num_frames)
    assert len(set(frames)) == count or num_frames < count
    assert frames == sorted(frames)
    assert not set(frames) & set(taken)
    assert max(frames) < num_frames or num_frames < count + max(taken, default=-1) + 1
