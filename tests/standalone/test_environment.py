"""The environment that the first run makes: once, by one process, resumed where it stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from standalone import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def requirements(tmp_path) -> tuple[Path, ...]:
    """Two requirements files that need nothing from anywhere."""
    files = tmp_path / "requirements-first.txt", tmp_path / "requirements.txt"
    for file in files:
        file.write_text("# nothing\n")
    return files


@pytest.fixture
def installs(monkeypatch, tmp_path):
    """The requirements files that pip was run for; the environment is this interpreter's own."""
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / environment.python_name()
    calls: list[str] = []

    def call(command, **_keywords):
        if "venv" in command:
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
        elif "install" in command:
            time.sleep(0.05)
            calls.append(Path(command[-1]).name)
        return 0

    monkeypatch.setattr(environment.subprocess, "call", call)
    return calls


def test_prepare_installs_each_file_in_order_and_only_once(requirements, installs, tmp_path):
    for _ in range(2):
        environment.prepare(requirements, tmp_path / "venv")
    assert installs == ["requirements-first.txt", "requirements.txt"]


def test_prepare_installs_again_only_the_file_that_changed(requirements, installs, tmp_path):
    environment.prepare(requirements, tmp_path / "venv")
    requirements[1].write_text("# another\n")
    environment.prepare(requirements, tmp_path / "venv")
    assert installs[2:] == ["requirements.txt"]


def test_prepare_from_two_threads_installs_once(requirements, installs, tmp_path):
    threads = [
        threading.Thread(target=environment.prepare, args=(requirements, tmp_path / "venv")) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installs) == 2


def test_prepare_after_a_failure_goes_on_where_it_stopped(requirements, installs, tmp_path, monkeypatch):
    environment.prepare(requirements[:1], tmp_path / "venv")
    with monkeypatch.context() as offline:
        offline.setattr(environment.subprocess, "call", lambda command, **_: int("install" in command))
        with pytest.raises(environment.SetupError, match="check the network connection"):
            environment.prepare(requirements, tmp_path / "venv")
    environment.prepare(requirements, tmp_path / "venv")
    assert installs == ["requirements-first.txt", "requirements.txt"]


def test_folder_is_filled_once_with_the_requirements_alone(requirements, tmp_path, monkeypatch):
    commands: list[list[str]] = []
    monkeypatch.setattr(environment.subprocess, "call", lambda command, **_: commands.append(command) or 0)
    for _ in range(2):
        environment.prepare_folder(requirements[0], tmp_path / "oldest", Path(sys.executable))
    (command,) = commands
    assert {"--no-deps", f"--target={tmp_path / 'oldest'}", str(requirements[0])} < set(command)


def test_prepare_without_ensurepip_names_the_package(requirements, installs, tmp_path, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(environment.SetupError, match="-venv\\) and run"):
        environment.prepare(requirements, tmp_path / "venv")


def test_the_bootstrap_needs_nothing_but_the_standard_library():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from standalone import environment; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'PIL', 'numpy', 'tqdm'}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_requirements_are_pinned_exactly():
    for path in ROOT.glob("requirements*.txt"):
        lines = [line for line in path.read_text().splitlines() if line and line[0] not in "#-"]
        assert all("==" in line for line in lines)
