"""How long the long part of a test may take: its share of `--hostile-minutes`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


def rounds(config: pytest.Config, share: float, at_most: int | None = None) -> Iterator[int]:
    """0, 1, 2, ... until a share of the minutes is spent, or `at_most` of them; at least one."""
    end = time.monotonic() + share * 60 * config.getoption("--hostile-minutes")
    number = 0
    while number != at_most and (number == 0 or time.monotonic() < end):
        yield number
        number += 1
