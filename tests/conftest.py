"""Models of the embedded one's shape with random weights, for all rooms that need one.

Imported when they are asked for: the engine's own tests run without diffusers.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Triton reads it when it is first imported, which other libraries do, too.
os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_addoption(parser):
    parser.addoption(
        "--hostile-minutes", type=float, default=3.0, metavar="M",
        help="how long the slow tests of tests/hostile may take together (default: %(default)s)",
    )  # fmt: skip
    parser.addoption(
        "--webui-url", metavar="URL",
        help="a running WebUI with this extension and the API, to try it on, too",
    )  # fmt: skip


def pytest_terminal_summary(terminalreporter):
    """The figures that tests recorded."""
    for report in terminalreporter.stats.get("passed", []):
        for name, figure in report.user_properties:
            terminalreporter.write_line(f"{name}: {figure}")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    from tests.hosts.diffusers.stand_in import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def module_file(tmp_path_factory) -> Path:
    from tests.hosts.diffusers.stand_in import write_module

    return write_module(tmp_path_factory.mktemp("motion") / "stand_in.safetensors")


@pytest.fixture(scope="session")
def animator(checkpoint, module_file):
    from standalone import Animator

    return Animator(checkpoint=checkpoint, motion_module=module_file)


@pytest.fixture(scope="session")
def still_animator(checkpoint):
    from standalone import Animator

    return Animator(checkpoint=checkpoint, motion_module="none")
