"""Whatever goes wrong in the middle of a clip, the host is as it was, and draws what it drew."""

from __future__ import annotations

import errno
import resource
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from animatediff_webui.media import read_frames
from tests.hostile.conftest import finals, leftovers
from tests.hostile.hosts import CHECKPOINTS, FakeWebUI, Host, Standalone, replaced, state_of_checkpoint
from tests.hosts.webui.conftest import host, module_folder, webui

__all__ = ["host", "module_folder", "webui"]  # fixtures
Fault = Callable[[Host], AbstractContextManager[object]]


HAPPENED: list[str] = []
"""What faults have happened in the test under way: one that has not tests nothing."""


class Boom(Exception):
    """What no code of ours expects."""


def boom() -> None:
    raise Boom("boom")


def run_out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def allocate_too_much() -> None:
    """What PyTorch itself raises where there is no such memory."""
    torch.empty(2**55, dtype=torch.uint8)


def after(count: int, action: Callable[[], None]) -> Callable[[], None]:
    """`action`, once, when it is called for that time."""
    calls = [0]

    def call() -> None:
        calls[0] += 1
        if calls[0] == count:
            HAPPENED.append("in the middle")
            action()

    return call


def broken(part: str, action: Callable[[], None], count: int = 2) -> Fault:
    return lambda host: host.breaking(part, after(count, action))


@contextmanager
def _between_windows(host: Host, action: Callable[[], None]):
    host.before_window = after(3, action)
    try:
        yield
    finally:
        host.before_window = lambda: None


def meanwhile(name: str) -> Fault:
    """A method of the host, called between two windows."""
    return lambda host: _between_windows(host, getattr(host, name))


def writer_fails(error: Exception) -> Fault:
    def fail(*_args: object) -> None:
        HAPPENED.append("writer")
        raise error

    def fault(_host: Host) -> AbstractContextManager[object]:
        from animatediff_webui.media.writers import gif

        return replaced(gif, "write", lambda _original: fail)

    return fault


@contextmanager
def disk_full(_host: Host):
    """No file may grow beyond a few kB: some of the formats fit, others do not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    HAPPENED.append("disk full")
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


FAULTS: dict[str, Fault] = {
    "out of memory in the unet": broken("unet", run_out_of_memory),
    "out of memory in the vae": broken("vae", run_out_of_memory),
    "out of memory, by PyTorch itself": broken("unet", allocate_too_much),
    "unet": broken("unet", boom),
    "unet, at once": broken("unet", boom, 1),
    "vae": broken("vae", boom),
    "sampler": broken("sampler", boom, 1),
    "text encoder": broken("text encoder", boom, 1),
    "writer": writer_fails(OSError(errno.ENOSPC, "No space left on device")),
    "writer, by a slip": writer_fails(Boom("boom")),
    "callback": lambda host: _between_windows(host, boom),
    "Ctrl-C": lambda host: _between_windows(host, partial(_raise, KeyboardInterrupt())),
    "disk full": disk_full,
    "interrupt": meanwhile("interrupt"),
    "skip": meanwhile("skip"),
    "nested run": meanwhile("nest"),
    "checkpoint swapped": meanwhile("swap"),
}  # fmt: skip


def _raise(error: BaseException) -> None:
    raise error


@pytest.fixture(params=["standalone", *CHECKPOINTS])
def any_host(request, tmp_path):
    if request.param == "standalone":
        yield Standalone(request.getfixturevalue("own_animator"), tmp_path)
        return
    webui = request.getfixturevalue("webui")
    from backend import memory_management

    yield FakeWebUI(webui, request.param)
    memory_management.current_loaded_models.clear()


@pytest.fixture
def own_animator(models, tmp_path):
    """One that may be broken."""
    from standalone import Animator

    checkpoint = shutil.copytree(models[1], tmp_path / "checkpoint")
    return Animator(checkpoint=checkpoint, motion_module=models[3])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_host_is_as_it_was_after(name: str, any_host: Host):
    expected = any_host.pictures()
    before = any_host.state()
    HAPPENED.clear()
    run(any_host, FAULTS[name])
    assert HAPPENED
    put_back(any_host, name)
    assert any_host.state() == before
    assert any_host.pictures() == expected
    check_files(any_host.folder)


def run(host: Host, fault: Fault) -> None:
    """A clip with a fault in it; hosts say what went wrong in ways of their own."""
    with ExitStack() as stack:
        stack.enter_context(fault(host))
        try:
            host.run()
        except BaseException as error:
            if isinstance(error, AssertionError):
                raise


def put_back(host: Any, name: str) -> None:
    """What the fault itself has changed."""
    if name == "checkpoint swapped" and isinstance(host, FakeWebUI):
        assert host.webui.host.shared.sd_model is host.other
        assert state_of_checkpoint(host.other) == host.others_state
        host.webui.host.shared.sd_model = host.webui.model
    if isinstance(host, FakeWebUI):
        host.webui.host.shared.state.begin()


def check_files(folder: Path) -> None:
    """What is there is whole."""
    assert leftovers(folder) == []
    for path in finals(folder):
        if path.suffix == ".gif":
            assert len(list(read_frames(path))) > 0
