"""Schedules over sampling steps."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ParameterError, ScheduleError, shown
from .schedules import Schedule


@dataclass(frozen=True)
class StepValues:
    """A value for each sampling step."""

    values: tuple[float, ...]

    def at(self, share: float) -> float:
        """The value where this share of sampling is done, from 0 to 1."""
        return self.values[min(int(share * len(self.values) + 1e-6), len(self.values) - 1)]


def read_steps(schedule: Schedule | None, num_steps: int, name: str) -> StepValues | None:
    """A schedule over so many sampling steps, None where there is none. Raises ParameterError."""
    if schedule is None:
        return None
    try:
        return StepValues(schedule.values(num_steps, what="step"))
    except ScheduleError as error:
        raise ParameterError(f"{name} is {shown(str(schedule))}, but {error}.") from error
