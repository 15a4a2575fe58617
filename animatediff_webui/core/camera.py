"""How a camera moves over a clip: by name, `pan left 0.5 + zoom in`, or as poses of a RealEstate10K file.

A name may have a speed behind it, 1 if not: what that is in 16 frames, the rows of `MOVES` say. Several moves
at once have a + between them. Axes are x to the right, y down, z ahead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from .errors import ParameterError, shown, shown_text
from .written import NUMBER, Written, written

Matrix = npt.NDArray[np.float64]
FRAMES = 16
"""After which a move has come as far as its row says."""
SHIFT, TURN, DISTANCE = 1.5, math.pi / 3, 1.5
"""How far a camera goes, by what angle it turns, and how far ahead of it is what it circles round."""
FASTEST = 100.0
LENS = (0.474812461, 0.844111024, 0.5, 0.5)
"""Focal lengths and centre of a usual clip of RealEstate10K, as shares of width and height."""
STILL = "still"


@dataclass(frozen=True)
class Move:
    """Where a camera goes, in `SHIFT`, about which axes it turns, in `TURN`, and whether it circles meanwhile
    round what is ahead of it."""

    shift: tuple[float, float, float] = (0, 0, 0)
    turn: tuple[float, float, float] = (0, 0, 0)
    circles: bool = False

    @property
    def is_straight(self) -> bool:
        """Whether it goes without turning."""
        return not any(self.turn)

    def pose(self, way: float) -> Matrix:
        """From the world to the camera, 4 x 4, where the move has come so far."""
        pose = _rotation(*(way * TURN * angle for angle in self.turn))
        pose[:3, 3] = [-way * SHIFT * step for step in self.shift]
        if self.circles:
            ahead = np.array([0, 0, DISTANCE])
            pose[:3, 3] += ahead - pose[:3, :3] @ ahead
        return pose


MOVES = {
    STILL: Move(),
    "pan left": Move(shift=(-1, 0, 0)),
    "pan right": Move(shift=(1, 0, 0)),
    "pan up": Move(shift=(0, -1, 0)),
    "pan down": Move(shift=(0, 1, 0)),
    "zoom in": Move(shift=(0, 0, 2)),
    "zoom out": Move(shift=(0, 0, -2)),
    "tilt up": Move(turn=(-1, 0, 0)),
    "tilt down": Move(turn=(1, 0, 0)),
    "tilt left": Move(turn=(0, 1, 0)),
    "tilt right": Move(turn=(0, -1, 0)),
    "roll clockwise": Move(turn=(0, 0, -1)),
    "roll anticlockwise": Move(turn=(0, 0, 1)),
    "orbit left": Move(turn=(0, -1, 0), circles=True),
    "orbit right": Move(turn=(0, 1, 0), circles=True),
}
"""As CameraCtrl's users know them: a pan goes sideways, a tilt turns the camera where it is."""
_MOVE = re.compile(rf"(?P<name>[a-z ]*[a-z])(?:\s*(?P<speed>{NUMBER}))?")
ALLOWED = f'one of {", ".join(MOVES)}, with a speed behind it, or several such as "pan left 0.5 + zoom in"'


@dataclass(frozen=True)
class CameraPoses:
    """A camera for each frame. poses: `f 4 4`, from the world to the camera. lenses: `f 4`, focal lengths and
    centre as shares of width and height."""

    poses: Matrix
    lenses: Matrix

    def first(self, count: int) -> CameraPoses:
        """Those of the first frames."""
        return CameraPoses(self.poses[:count], self.lenses[:count])

    def seen_from_above(self) -> tuple[Matrix, Matrix]:
        """Places `f 2`, to the right and ahead as the first camera sees them, and where each looks, `f 2`."""
        to_first = self.poses[0] @ np.linalg.inv(self.poses)
        return to_first[:, (0, 2), 3], to_first[:, (0, 2), 2]

    def ways(self) -> dict[str, tuple[float, ...]]:
        """What changes, frame by frame, as the first camera sees it: places, and angles in degrees."""
        to_first = self.poses[0] @ np.linalg.inv(self.poses)
        side, up, ahead = (to_first[:, :3, axis] for axis in range(3))
        places = to_first[:, :3, 3]
        values = {
            "right": places[:, 0],
            "up": -places[:, 1],
            "ahead": places[:, 2],
            "turned right": np.degrees(np.arctan2(ahead[:, 0], ahead[:, 2])),
            "turned up": np.degrees(-np.arcsin(ahead[:, 1].clip(-1, 1))),
            "rolled clockwise": np.degrees(np.arctan2(side[:, 1], up[:, 1])),
        }
        return {name: tuple(each.tolist()) for name, each in values.items() if np.ptp(each) > 1e-6}


@dataclass(frozen=True)
class CameraMotion(Written):
    """Moves by name, all at once, each at its speed; none is no camera motion at all."""

    moves: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return " + ".join(name if speed == 1 else f"{name} {written(speed)}" for name, speed in self.moves)

    def over_frames(self, count: int) -> CameraPoses:
        """The cameras of a clip, which go where the first one's axes lead, however they have turned since."""
        moves = sorted(self.moves, key=lambda move: MOVES[move[0]].is_straight)
        frames: list[Matrix] = []
        for frame in range(count):
            poses = (MOVES[name].pose(speed * frame / FRAMES) for name, speed in moves)
            frames.append(reduce(np.matmul, poses, np.eye(4)))
        return CameraPoses(np.stack(frames), np.tile(np.array(LENS), (count, 1)))


NO_CAMERA = CameraMotion()


def parse_camera_motion(raw: object, name: str) -> CameraMotion:
    """The moves that a text is. Raises ParameterError, which calls it `name`."""
    if isinstance(raw, CameraMotion):
        return raw
    if not isinstance(raw, str):
        raise _refused(raw, name)
    text = " ".join(raw.lower().split())
    return CameraMotion(
        tuple(_parse_move(part.strip(), raw, name) for part in text.split("+")) if text else ()
    )


def _parse_move(text: str, whole: str, name: str) -> tuple[str, float]:
    match = _MOVE.fullmatch(text)
    if match is None or match["name"] not in MOVES:
        raise _refused(whole, name)
    speed = float(match["speed"] or 1)
    if speed > FASTEST:
        raise ParameterError(f"{name} has a speed of {speed:g}, but it must be from 0 to {FASTEST:g}.")
    return match["name"], speed


def _refused(raw: object, name: str) -> ParameterError:
    return ParameterError(f"{name} is {shown(raw)}, but must be {ALLOWED}.")


def parse_poses(text: str, name: str) -> CameraPoses:
    """The cameras of a RealEstate10K file: a line for each frame, after one with an address, if it is there.

    A line has a time, two focal lengths and the centre as shares of width and height, two numbers that mean
    nothing, and the three rows of the pose, from the world to the camera: 19 numbers. Raises ParameterError.
    """
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if lines and not _is_number(lines[0][1][0]):
        lines = lines[1:]
    if not lines:
        raise ParameterError(f"{name} holds no cameras: give a pose file of RealEstate10K, a line a frame.")
    cameras = [_read_line(words, f"Line {number} of {name}") for number, words in lines]
    return CameraPoses(
        np.stack([pose for pose, _ in cameras]), np.array([lens for _, lens in cameras], dtype=np.float64)
    )


def _read_line(words: Sequence[str], where: str) -> tuple[Matrix, list[float]]:
    """A pose and a lens."""
    if len(words) != 19:
        raise ParameterError(
            f"{where} has {len(words)} numbers, but a camera of RealEstate10K has 19: a time, four of the "
            "lens, two that are not used, and twelve of the pose."
        )
    for word in words:
        if not _is_number(word):
            raise ParameterError(f"{where} holds {shown_text(word)}, which is no number: correct the file.")
    numbers = [float(word) for word in words]
    pose = np.array([numbers[7:11], numbers[11:15], numbers[15:], [0, 0, 0, 1]], dtype=np.float64)
    turn = pose[:3, :3]
    if min(numbers[1:3]) <= 0:
        raise ParameterError(f"{where} has a focal length of {min(numbers[1:3]):g}: it must be above 0.")
    if np.abs(turn @ np.transpose(turn) - np.eye(3)).max() > 0.01 or np.linalg.det(turn) < 0:
        raise ParameterError(f"{where} has a pose that is no rotation: its three rows are at right angles.")
    return pose, numbers[1:5]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and abs(float(text)) < 1e12
    except ValueError:
        return False


def _rotation(x: float, y: float, z: float) -> Matrix:
    """4 x 4: about x, then y, then z, by these angles."""
    cosines, sines = np.cos([x, y, z]), np.sin([x, y, z])
    turn = np.eye(4)
    for axis, (cosine, sine) in enumerate(zip(cosines, sines, strict=True)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        about = np.eye(4)
        about[first, first] = about[second, second] = cosine
        about[first, second], about[second, first] = -sine, sine
        turn = about @ turn
    return turn
