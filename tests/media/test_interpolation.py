"""Frames between frames."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from animatediff_webui.media import MediaError, interpolate
from tests.media.clips import Live, clip, frame


def square(left: int) -> Image.Image:
    image = Image.new("RGB", (64, 48), (40, 60, 80))
    image.paste((230, 220, 90), (left, 16, left + 14, 32))
    return image


def center(image: Image.Image) -> float:
    light = np.clip(np.asarray(image, float)[24, :, 0] - 40, 0, None)
    return float((light * np.arange(light.size)).sum() / light.sum())


@pytest.mark.parametrize(("num_frames", "factor"), [(1, 3), (2, 2), (5, 4), (3, 10)])
@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize("size", [(32, 24), (33, 47)])
def test_each_frame_becomes_factor_frames_and_stays_itself(num_frames, factor, looped, size):
    frames = list(interpolate(clip(num_frames, size), factor, looped=looped))
    assert len(frames) == num_frames * factor
    assert [image.tobytes() for image in frames[::factor]] == [
        image.tobytes() for image in clip(num_frames, size)
    ]


def test_new_frames_show_the_motion_between():
    centers = [center(image) for image in interpolate(map(square, (4, 8, 12, 16)), 4)]
    assert np.allclose(np.diff(centers[:13]), 1, atol=0.4)
    assert np.allclose(centers[12:], centers[12], atol=0.1)


def test_looped_the_last_frame_leads_back_to_the_first():
    positions = [4, 8, 12, 8]
    centers = [center(image) for image in interpolate(map(square, positions), 4, looped=True)]
    assert np.allclose(np.diff(centers[12:] + centers[:1]), -1, atol=0.4)


def test_factor_one_passes_frames_through_lazily():
    live = Live(frame)
    for _ in interpolate((live(index) for index in range(20)), 1):
        assert live.alive <= 2


def test_long_clips_keep_few_frames_in_memory():
    live = Live(frame)
    for _ in interpolate((live(index) for index in range(40)), 2):
        assert live.alive == 0
    assert live.peak <= 2


@pytest.mark.parametrize("factor", [0, -1, True])
def test_impossible_factors_are_refused_at_once(factor):
    with pytest.raises(MediaError, match="factor is"):
        interpolate(clip(), factor)


def raising_after(count):
    yield from clip(count)
    raise KeyboardInterrupt


def test_interrupted_frames_what_came_is_processed_and_the_error_goes_on():
    received = []
    with pytest.raises(KeyboardInterrupt):
        received.extend(image for image in _collecting(interpolate(raising_after(3), 3), received))
    assert len(received) == 9


def _collecting(frames, received):
    for image in frames:
        received.append(image)
        yield from ()
