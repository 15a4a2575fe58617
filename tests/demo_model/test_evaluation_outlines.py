"""The measure of outlines, on masks whose overlap is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from demo_model.evaluation.judge import judge_frame
from demo_model.evaluation.outlines import intersection_over_union, neighbour_overlap
from demo_model.world import Scene, draw_objects


def judged(centers, radii):
    frames = draw_objects(Scene("red", "circle", "white"), torch.tensor(centers), torch.tensor(radii))
    pixels = (frames.permute(0, 2, 3, 1) * 255).byte().numpy()
    return [judge_frame(Image.fromarray(frame)) for frame in pixels]


def test_overlap_of_masks_is_what_they_share():
    left, right = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    left[:, :3], right[:, 1:] = True, True
    assert intersection_over_union(left, right) == 0.5
    assert intersection_over_union(left & False, right & False) == 0


def test_moving_outlines_overlap_once_centred_and_growing_ones_do_not():
    moved = neighbour_overlap(judged([[40.0, 40.0], [70.0, 52.5]], [27.0, 27.0]))
    grown = neighbour_overlap(judged([[64.0, 64.0], [64.0, 64.0]], [24.0, 30.0]))
    assert moved > 0.95
    assert grown == pytest.approx((24 / 30) ** 2, abs=0.02)


def test_an_outline_that_is_gone_overlaps_with_nothing_and_one_alone_is_like_itself():
    there = judged([[64.0, 64.0]], [27.0])
    gone = [judge_frame(Image.new("RGB", (128, 128), "white"))]
    assert neighbour_overlap([*there, *gone]) == 0
    assert neighbour_overlap(there) == 1
