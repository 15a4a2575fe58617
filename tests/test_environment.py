"""The environment that the first run makes: once, by one process, resumed where it stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

import environment

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def requirements(tmp_path) -> tuple[Path, ...]:
    """Two requirements files that need nothing from anywhere."""
    files = tmp_path / "requirements-first.txt", tmp_path / "requirements.txt"
    for file in files:
        file.write_text("# nothing\n")
    return files


@pytest.fixture
def installs(monkeypatch, tmp_path):
    """The requirements files that pip was run for, in an environment that looks whole."""
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / environment.python_name()
    calls: list[str] = []

    def run(command, hear):
        if "venv" in command:
            python.parent.mkdir(parents=True)
            python.write_text("#!/bin/sh\n")  # which succeeds at everything
            python.chmod(0o755)
        else:
            time.sleep(0.05)
            calls.append(Path(command[-1]).name)
            for line in PIP:
                hear(line)
        return 0

    monkeypatch.setattr(environment, "run_program", run)
    return calls


PIP = (
    "Collecting torch==2.13.0 (from -r requirements-torch.txt (line 2))",
    "  Downloading torch-2.13.0-cp311-none-linux.whl (120.5 MB)",
    "Requirement already satisfied: einops==0.8.2 in ./lib",
    "Installing collected packages: torch, einops",
    "Successfully installed einops-0.8.2 torch-2.13.0",
)


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

    def fail(_command, hear):
        for line in ("Collecting nothing", *(f"line {number}" for number in range(50))):
            hear(line)
        return 1

    with monkeypatch.context() as offline:
        offline.setattr(environment, "run_program", fail)
        with pytest.raises(environment.SetupError, match="check the network connection") as failed:
            environment.prepare(requirements, tmp_path / "venv")
    log = tmp_path / "venv" / "requirements.log"
    assert "Collecting nothing" in log.read_text()
    assert str(log) in str(failed.value)
    assert str(failed.value).splitlines()[-1] == "  line 49"
    assert len(str(failed.value).splitlines()) < 20
    environment.prepare(requirements, tmp_path / "venv")
    assert installs == ["requirements-first.txt", "requirements.txt"]


def test_folder_is_filled_once_with_the_requirements_alone(requirements, tmp_path, monkeypatch):
    commands: list[list[str]] = []
    monkeypatch.setattr(environment, "run_program", lambda command, _hear: commands.append(command) or 0)
    for _ in range(2):
        environment.prepare_folder(requirements[0], tmp_path / "oldest", Path(sys.executable))
    (command,) = commands
    assert {"--no-deps", f"--target={tmp_path / 'oldest'}", str(requirements[0])} < set(command)


def test_prepare_without_ensurepip_names_the_package(requirements, installs, tmp_path, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(environment.SetupError, match="-venv\\) and run"):
        environment.prepare(requirements, tmp_path / "venv")


def test_setting_up_says_three_lines_and_logs_the_rest(requirements, installs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: object())
    environment.prepare(requirements, tmp_path / "venv")
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 3)
    assert (tmp_path / "venv" / "requirements.log").read_text().splitlines() == list(PIP)


def test_on_a_terminal_one_line_says_what_pip_is_at(requirements, installs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    requirements[1].write_text("torch==2.13.0\neinops==0.8.2  # a comment\nnumpy\n")
    environment.prepare(requirements, tmp_path / "venv")
    shown = capsys.readouterr().err.split("\n")[-2].split("\r")
    assert [text.strip() for text in shown] == [
        "Installing requirements.txt",
        "Installing requirements.txt: 1 of 2, torch",
        "Installing requirements.txt: 1, downloading 120.5 MB",
        "Installing requirements.txt: 2 of 2, einops",
        "Installing requirements.txt: writing 2 packages",
        "Installing requirements.txt: done",
    ]


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_place_that_cannot_be_written_is_named_in_one_sentence(place, requirements, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    venv = tmp_path / "file" / ("" if place == "a file" else ".venv")
    with pytest.raises(environment.SetupError, match=r"check that the folder can be written") as failed:
        environment.prepare(requirements, venv)
    assert len(str(failed.value).splitlines()) == 1
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs to mount a file system")
def test_a_read_only_checkout_is_named_in_one_sentence(requirements, tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)]
    copies = tuple(Path(shutil.copy(path, Path(tempfile.mkdtemp()))) for path in requirements)
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system")
    try:
        with pytest.raises(environment.SetupError, match="Read-only file system"):
            environment.prepare(copies, tmp_path / ".venv")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
        for path in copies:
            shutil.rmtree(path.parent)


def test_an_interrupted_setup_ends_the_program_it_runs(tmp_path):
    def interrupt(_line):
        raise KeyboardInterrupt

    code = "import time; print('here', flush=True); time.sleep(60)"
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        environment.run_program([sys.executable, "-c", code], interrupt)
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_half_an_environment_is_made_again(requirements, tmp_path):
    """As one that was killed in the middle leaves it: an interpreter without pip."""
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / environment.python_name()
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable if os.name != "nt" else python)
    made = environment.prepare(requirements, tmp_path / "venv")
    done = subprocess.run([str(made), "-m", "pip", "--version"], capture_output=True, text=True, check=True)
    assert str(tmp_path / "venv") in done.stdout


def test_the_bootstrap_needs_nothing_but_the_standard_library():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import environment; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'PIL', 'numpy', 'tqdm'}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_requirements_are_pinned_exactly():
    for path in ROOT.glob("requirements*.txt"):
        lines = [line for line in path.read_text().splitlines() if line and line[0] not in "#-"]
        assert all("==" in line for line in lines)
