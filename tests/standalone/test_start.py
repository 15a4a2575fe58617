"""How `python3 standalone` starts once its environment is there."""

from __future__ import annotations

import os
import sys

import pytest

import environment
import standalone.command_line
from standalone.__main__ import main


@pytest.mark.parametrize(("given", "seen"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(monkeypatch, given, seen):
    def run(arguments):
        assert arguments == ["a circle"]
        assert os.environ["OMP_WAIT_POLICY"] == seen
        return 0

    monkeypatch.setattr(environment, "prepare", lambda: sys.executable)
    monkeypatch.setattr(environment, "is_inside", lambda python: True)
    monkeypatch.setattr(standalone.command_line, "main", run)
    monkeypatch.setattr(sys, "argv", ["standalone", "a circle"])
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")  # so that it is put back afterwards
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    assert main() == 0
