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
    right = sum(is_right(answer) for answer in answers)
    return f"{right / max(1, len(answers)):.0%} ({right} of {len(answers)})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def report(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    """Measures with their values, lengths in percent of the width."""
    moving = [answer for answer in answers if not answer.is_still]
    still = [answer for answer in answers if answer.is_still]
    return [
        ("object colour right", _share(answers, lambda a: a.color_is_right)),
        ("background right", _share(answers, lambda a: a.background_is_right)),
        ("shape right", _share(answers, lambda a: a.shape_is_right)),
        ("direction right (not still)", _share(moving, lambda a: a.direction_is_right)),
        ("displacement (not still)", f"{_mean([a.seen.displacement for a in moving]):.1%}"),
        ("drift when still", f"{_mean([a.seen.drift for a in still]):.1%}"),
        ("coherent", _share(answers, lambda a: a.seen.coherent)),
        ("jerk", f"{_mean([a.seen.jerk for a in answers]):.1%}"),
        ("area flicker", f"{_mean([a.seen.flicker for a in answers]):.1%}"),
        ("neighbouring outlines' overlap, centred", f"{_mean([a.seen.likeness for a in answers]):.2f}"),
        ("seconds a clip", f"{_mean([a.seconds for a in answers]):.1f}"),
    ]
