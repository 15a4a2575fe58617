"""The measures of outlines and paths, and the ways that are measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from demo_model.evaluation.judge import judge_frame
from demo_model.evaluation.outlines import intersection_over_union, neighbour_overlap, path_correlation
from demo_model.evaluation.tracks import TRACKS, build_track_questions, draw_track
from demo_model.world import Scene, draw_objects, is_held_out


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


def test_paths_that_go_alike_are_correlated_wherever_they_are():
    path = np.stack([np.linspace(0, 1, 16), np.linspace(0, 1, 16) ** 2], 1)
    assert path_correlation(path, 0.5 * path + 3) == pytest.approx(1)
    assert path_correlation(path, -path) == pytest.approx(-1)
    assert path_correlation(path, np.ones_like(path)) == 0


@pytest.mark.parametrize("kind", list(TRACKS))
def test_tracks_stay_inside_the_picture(kind):
    for seed in range(20):
        track = draw_track(kind, np.random.default_rng(seed))
        assert (track.centers > track.radii[:, None]).all()
        assert (track.centers < 128 - track.radii[:, None]).all()


def test_track_questions_are_held_out_and_the_same_every_time():
    questions = build_track_questions(50)
    assert all(is_held_out(question.scene) for question in questions)
    assert {question.kind for question in questions} == set(TRACKS)
    assert [question.prompt for question in questions] == [each.prompt for each in build_track_questions(50)]
