"""Camera motions by name and pose files: where the camera goes, what is drawn, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from animatediff_webui.core.camera import MOVES, parse_camera_motion, parse_poses
from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import build_plan, format_plan
from motion_module import MotionModuleSpec

POSE = "0 0.5 0.9 0.5 0.5 0 0 1 0 0 {} 0 1 0 0 0 0 1 0"


def place(pose):
    """Where the camera of a pose is."""
    return np.linalg.inv(pose)[:3, 3]


def ahead(pose):
    """Where it looks."""
    return np.linalg.inv(pose)[:3, 2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pan left", (-1.5, 0, 0)),
        ("pan right", (1.5, 0, 0)),
        ("pan up", (0, -1.5, 0)),
        ("pan down", (0, 1.5, 0)),
        ("zoom in", (0, 0, 3)),
        ("zoom out 0.5", (0, 0, -1.5)),
        ("still", (0, 0, 0)),
        ("Pan  Left + zoom in 0.5", (-1.5, 0, 1.5)),
    ],
)
def test_camera_has_come_so_far_after_16_frames_and_looks_where_it_did(name, expected):
    poses = parse_camera_motion(name, "camera_motion").over_frames(17).poses
    assert place(poses[16]) == pytest.approx(expected)
    assert place(poses[8]) == pytest.approx(np.divide(expected, 2))
    assert ahead(poses[16]) == pytest.approx((0, 0, 1))
    assert poses[0] == pytest.approx(np.eye(4))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tilt left", (-1, 0)),
        ("tilt right", (1, 0)),
        ("tilt up", (0, -1)),
        ("tilt down", (0, 1)),
    ],
)
def test_camera_turns_where_it_stands(name, expected):
    last = parse_camera_motion(name, "camera_motion").over_frames(17).poses[16]
    assert place(last) == pytest.approx((0, 0, 0))
    assert ahead(last) == pytest.approx((*np.multiply(expected, np.sin(np.pi / 3)), 0.5))


def test_roll_turns_the_camera_about_what_it_looks_at_and_an_orbit_goes_round_it():
    rolled = parse_camera_motion("roll clockwise 0.5", "camera_motion").over_frames(17).poses[16]
    right = np.linalg.inv(rolled)[:3, 0]
    assert right == pytest.approx((np.cos(np.pi / 6), 0.5, 0))
    for pose in parse_camera_motion("orbit right", "camera_motion").over_frames(17).poses:
        assert place(pose) + 1.5 * ahead(pose) == pytest.approx((0, 0, 1.5))
    assert place(pose)[0] > 1
    assert place(parse_camera_motion("orbit left", "camera_motion").over_frames(17).poses[16])[0] < -1


@pytest.mark.parametrize(
    "raw", ["spin", "pan", "pan left -1", "pan left +", "pan left, zoom in", 3, ["still"]]
)
def test_motion_that_is_none_is_refused_with_all_that_there_are(raw):
    with pytest.raises(ParameterError, match=r"camera_motion is .*, but must be one of still, pan left"):
        parse_parameters({"camera_motion": raw})


def test_motion_reads_back_and_is_told_from_none():
    asked = parse_parameters({"camera_motion": " Pan left .5 +orbit right"}).motion.camera.motion
    assert str(asked) == "pan left 0.5 + orbit right"
    assert parse_camera_motion(str(asked), "camera_motion") == asked
    assert not parse_camera_motion("", "camera_motion").moves
    assert all(parse_camera_motion(name, "camera_motion").moves == ((name, 1.0),) for name in MOVES)
    with pytest.raises(ParameterError, match="speed of 101, but it must be from 0 to 100"):
        parse_camera_motion("pan left 101", "camera_motion")


def test_pose_file_is_read_with_and_without_its_address():
    lines = [POSE.format(0), POSE.format(-0.5), ""]
    for text in ("\n".join(lines), "\n".join(["https://example.org/watch?v=1", *lines])):
        cameras = parse_poses(text, "camera_poses")
        assert [place(pose)[0] for pose in cameras.poses] == pytest.approx([0, 0.5])
        assert cameras.lenses[1] == pytest.approx((0.5, 0.9, 0.5, 0.5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "camera_poses holds no cameras"),
        ("https://example.org\n\n", "holds no cameras"),
        (
            POSE.format(0) + " 1",
            "Line 1 of camera_poses has 20 numbers, but a camera of RealEstate10K has 19",
        ),
        ("x\n" + POSE.format("nan"), "Line 2 of camera_poses holds nan, which is no number"),
        (POSE.format("left"), "holds left, which is no number"),
        (POSE.format(0).replace(" 0.9 ", " 0 "), "has a focal length of 0: it must be above 0"),
        (POSE.format(0).replace(" 1 0 0 0 0 1 ", " 2 0 0 0 0 1 "), "has a pose that is no rotation"),
        (POSE.format(0).replace(" 1 0 0 0 0 1 ", " -1 0 0 0 0 1 "), "has a pose that is no rotation"),
    ],
)
def test_malformed_pose_file_is_refused_by_its_line(text, words):
    with pytest.raises(ParameterError, match=words):
        parse_poses(text, "camera_poses")


def test_preview_draws_what_changes():
    asked = {"camera_model": "c.ckpt", "camera_motion": "pan left + roll clockwise 0.5", "video_length": 16}
    shown = format_plan(build_plan(parse_parameters(asked), module=None))
    assert "Camera   pan left + roll clockwise 0.5" in shown
    assert any(line.endswith("right, 0 to -1.41") for line in shown.splitlines())
    assert any(
        line.split()[-5:] == ["rolled", "clockwise,", "0", "to", "28.1"] for line in shown.splitlines()
    )
    assert "ahead" not in shown
    read = parse_parameters({"camera_model": "c.ckpt", "camera_poses": "poses.txt"})
    assert "Camera   as the pose file says" in format_plan(build_plan(read, module=None))
    frames = [POSE.format(-frame) for frame in range(16)]
    told = parse_parameters({"camera_model": "c.ckpt", "camera_poses": "\n".join(frames)})
    drawn = format_plan(build_plan(told, module=None))
    assert "Camera   as the pose file says" in drawn
    assert "right, 0 to 15" in drawn
    assert "Camera" not in format_plan(build_plan(parse_parameters(), module=None))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"camera_motion": "still"}, "There is a camera_motion, but no camera_model that could follow it"),
        ({"camera_poses": "x.txt"}, "There is a camera_poses, but no camera_model"),
        ({"camera_model": "c.ckpt"}, "camera_model is c.ckpt, but nothing says how the camera moves"),
    ],
)
def test_camera_without_its_model_and_model_without_its_camera_are_refused(asked, words):
    with pytest.raises(ParameterError, match=words):
        build_plan(parse_parameters(asked), module=MotionModuleSpec())
