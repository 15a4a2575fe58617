from __future__ import annotations

from pathlib import Path

import pytest

from standalone import Animator
from tests.hosts.diffusers.stand_in import write_checkpoint, write_module


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def module_file(tmp_path_factory) -> Path:
    return write_module(tmp_path_factory.mktemp("motion") / "stand_in.safetensors")


@pytest.fixture(scope="session")
def animator(checkpoint, module_file) -> Animator:
    return Animator(checkpoint=checkpoint, motion_module=module_file)


@pytest.fixture(scope="session")
def still_animator(checkpoint) -> Animator:
    return Animator(checkpoint=checkpoint, motion_module="none")
