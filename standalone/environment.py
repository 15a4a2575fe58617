"""The project's own `.venv`: made on the first run, brought up to date when a requirements file changes.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = (ROOT / "requirements-torch.txt", ROOT / "requirements.txt")
DEVELOPMENT = (*RUNTIME, ROOT / "requirements-dev.txt")


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def prepare(requirements: tuple[Path, ...] = RUNTIME, venv: Path = ROOT / ".venv") -> Path:
    """The Python of an environment with `requirements`; installs what is missing, one process at a time."""
    python = venv / ("Scripts" if os.name == "nt" else "bin") / python_name()
    if is_current(requirements, venv, python):
        return python
    with locked(requirements[0]):
        if not is_current(requirements, venv, python):
            create(venv, python)
            for path in requirements:
                install(path, venv, python)
    return python


def prepare_folder(requirements: Path, folder: Path, python: Path) -> None:
    """Have `requirements`, without what they need, in a folder: on PYTHONPATH, they hide `python`'s own."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(requirements):
        options = ("--no-deps", "--only-binary=:all:", "--upgrade", f"--target={folder}")
        install(requirements, folder, python, *options)


def python_name() -> str:
    """What an environment's interpreter is called on this system."""
    return "python.exe" if os.name == "nt" else "python"


def is_current(requirements: tuple[Path, ...], venv: Path, python: Path) -> bool:
    """Whether all of `requirements`, as they are now, have been installed to the end."""
    return os.access(python, os.X_OK) and all(_stamp(path, venv).exists() for path in requirements)


def create(venv: Path, python: Path) -> None:
    """Make the environment, unless a working one is there."""
    if os.access(python, os.X_OK) and _succeeds([str(python), "-m", "pip", "--version"]):
        return
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = "{}.{}".format(*sys.version_info)
        raise SetupError(
            f"This Python cannot make virtual environments, because its venv package is missing: install it "
            f"(on Debian and Ubuntu: apt install python{version}-venv) and run the same command again."
        )
    _say(f"First run: setting up {venv}")
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(venv)]):
        raise SetupError(
            f"Making {venv} failed, as said above: check that the folder can be written and has space, and "
            "run the same command again."
        )


def install(requirements: Path, place: Path, python: Path, *options: str) -> None:
    """Install one requirements file, unless its stamp in `place` says that this was done."""
    stamp = _stamp(requirements, place)
    if stamp.exists():
        return
    _say(f"Installing {requirements.name}: this takes some minutes, once; later runs start straight away")
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    if subprocess.call([*command, *options, "-r", str(requirements)], stdout=sys.stderr):
        raise SetupError(
            f"Installing {requirements.name} failed, as pip says above: check the network connection and the "
            "disk space, and run the same command again; it goes on where it stopped."
        )
    for old in place.glob(f"{requirements.stem}.*.installed"):
        old.unlink()
    stamp.touch()


def _stamp(requirements: Path, place: Path) -> Path:
    """The empty file that says these requirements, word for word, are installed."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    return place / f"{requirements.stem}.{digest}.installed"


@contextmanager
def locked(path: Path) -> Generator[None, None, None]:
    """Hold an exclusive lock on an existing file, so that two first runs do not install into each other."""
    with path.open("rb") as file:
        if os.name == "nt":
            import msvcrt

            file.seek(2**30)  # beyond the end: the file itself stays readable
            while not _locks(lambda: msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)):  # pyright: ignore[reportAttributeAccessIssue]
                _say("Another run is setting up the environment: waiting for it")
        else:
            import fcntl

            if not _locks(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                _say("Another run is setting up the environment: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_in(python: Path, arguments: list[str]) -> int:
    """Go on as `python` with these arguments: in its place where the system can, else as its parent."""
    command = [str(python), *arguments]
    if os.name == "nt":
        return subprocess.call(command)
    sys.stdout.flush()
    os.execv(command[0], command)
    return 0


def is_inside(python: Path) -> bool:
    """Whether this process runs in `python`'s environment."""
    return Path(sys.prefix).resolve() == python.parent.parent.resolve()


def _locks(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:  # taken by another process (Windows tries for ten seconds)
        return False
    return True


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
