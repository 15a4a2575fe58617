"""From judged clips to figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .judge import ClipJudgement
from .prompts import Question


@dataclass(frozen=True)
class Answer:
    """A question, what the clip shows, and how long sampling and decoding took."""

    question: Question
    seen: ClipJudgement
    seconds: float

    @property
    def color_is_right(self) -> bool:
        return self.seen.object_color == self.question.scene.color

    @property
    def background_is_right(self) -> bool:
        return self.seen.background_color == self.question.scene.shown_background

    @property
    def shape_is_right(self) -> bool:
        return self.seen.shape == self.question.scene.shape

    @property
    def direction_is_right(self) -> bool:
        return self.seen.direction == self.question.scene.motion

    @property
    def is_still(self) -> bool:
        return self.question.scene.motion == "still"


def _share(answers: Sequence[Answer], is_right: Callable[[Answer], bool]) -> str:
    right = sum(map(is_right, answers))
    return f"{right / max(1, len(answers)):.0%} ({right} of {len(answers)})"


def _mean(answers: Sequence[Answer], measure: Callable[[Answer], float]) -> float:
    return sum(map(measure, answers)) / max(1, len(answers))


def report(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    """Measures with their values, lengths in percent of the width."""
    moving = [answer for answer in answers if not answer.is_still]
    still = [answer for answer in answers if answer.is_still]
    return [
        ("object colour right", _share(answers, lambda a: a.color_is_right)),
        ("background right", _share(answers, lambda a: a.background_is_right)),
        ("shape right", _share(answers, lambda a: a.shape_is_right)),
        ("direction right (not still)", _share(moving, lambda a: a.direction_is_right)),
        ("displacement (not still)", f"{_mean(moving, lambda a: a.seen.displacement):.1%}"),
        ("drift when still", f"{_mean(still, lambda a: a.seen.drift):.1%}"),
        ("coherent", _share(answers, lambda a: a.seen.coherent)),
        ("jerk", f"{_mean(answers, lambda a: a.seen.jerk):.1%}"),
        ("area flicker", f"{_mean(answers, lambda a: a.seen.flicker):.1%}"),
        ("neighbouring outlines' overlap, centred", f"{_mean(answers, lambda a: a.seen.likeness):.2f}"),
        ("seconds a clip", f"{_mean(answers, lambda a: a.seconds):.1f}"),
    ]
