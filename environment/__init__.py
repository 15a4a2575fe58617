"""The project's own `.venv`, in which standalone, tests and benchmarks run: made on the first run, brought
up to date when a requirements file changes.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = (ROOT / "requirements-torch.txt", ROOT / "requirements.txt")
DEVELOPMENT = (*RUNTIME, ROOT / "requirements-dev.txt")
IS_WHOLE = "import pip, sys; sys.exit(sys.prefix == sys.base_prefix)"
"""Of one that broke off, the interpreter may be there, and would install into what it was made from."""
SHOWN_LINES = 12
"""Of a log, where something failed."""


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def prepare(requirements: tuple[Path, ...] = RUNTIME, venv: Path = ROOT / ".venv") -> Path:
    """The Python of an environment with `requirements`; installs what is missing, one process at a time.

    Raises SetupError.
    """
    python = venv / ("Scripts" if os.name == "nt" else "bin") / python_name()
    if is_current(requirements, venv, python):
        return python
    with _faults_named(venv), locked(requirements[0]):
        if not is_current(requirements, venv, python):
            create(venv, python)
            for path in requirements:
                install(path, venv, python)
    return python


def prepare_folder(requirements: Path, folder: Path, python: Path) -> None:
    """Have `requirements`, without what they need, in a folder: on PYTHONPATH, they hide `python`'s own.

    Raises SetupError.
    """
    with _faults_named(folder), locked(requirements):
        folder.mkdir(parents=True, exist_ok=True)
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
    if os.access(python, os.X_OK) and _succeeds([str(python), "-c", IS_WHOLE]):
        return
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = "{}.{}".format(*sys.version_info)
        raise SetupError(
            f"This Python cannot make virtual environments, because its venv package is missing: install it "
            f"(on Debian and Ubuntu: apt install python{version}-venv) and run the same command again."
        )
    _say(f"First run: setting up {venv}, which takes some minutes, once; later runs start straight away.")
    said: deque[str] = deque(maxlen=1)
    if run_program([sys.executable, "-m", "venv", "--clear", str(venv)], said.append):
        reason = f" ({said[0].removeprefix('Error: ')})" if said else ""
        raise SetupError(
            f"Making {venv} failed{reason}: check that the folder can be written and has space, and run the "
            "same command again."
        )


def install(requirements: Path, place: Path, python: Path, *options: str) -> None:
    """Install one requirements file, unless its stamp in `place` says that this was done.

    What pip says goes to a log there; its end is shown where it fails.
    """
    stamp, log = _stamp(requirements, place), place / f"{requirements.stem}.log"
    if stamp.exists():
        return
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    progress, last = ProgressLine(requirements), deque[str](maxlen=SHOWN_LINES)
    with log.open("w", encoding="utf-8", buffering=1) as file:

        def hear(line: str) -> None:
            file.write(f"{line}\n")
            last.append(line)
            progress.show(line)

        failed = run_program([*command, "--progress-bar=off", *options, "-r", str(requirements)], hear)
        progress.end()
    if failed:
        raise SetupError(
            f"Installing {requirements.name} failed: check the network connection and the disk space, and "
            "run the same command again; it goes on where it stopped. "
            f"All that pip said is in {log}; its end:\n  " + "\n  ".join(last)
        )
    for old in place.glob(f"{requirements.stem}.*.installed"):
        old.unlink()
    stamp.touch()


def run_program(command: list[str], hear: Callable[[str], None]) -> int:
    """Run a program, telling each line it says on either stream; its exit status."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", errors="replace",
    ) as process:  # fmt: skip
        try:
            for line in process.stdout or ():
                if line.strip():
                    hear(line.rstrip())
        except BaseException:
            process.terminate()  # a Ctrl-C reaches it by itself, other ends do not
            raise
    return process.returncode


class ProgressLine:
    """What pip is at, on one line of the error stream, written over itself where that is a terminal."""

    def __init__(self, requirements: Path) -> None:
        self._title, self._total = f"Installing {requirements.name}", _count_packages(requirements)
        self._count, self._width = 0, 0
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._write(self._title)

    def show(self, line: str) -> None:
        """Tell what a line of pip's means."""
        words = line.split()
        if line.startswith(("Collecting ", "Requirement already satisfied: ")):
            self._count += 1
            name = re.split(r"[=<>!~;\[]", words[1 if words[0] == "Collecting" else 3])[0]
            total = f" of {self._total}" if self._count <= self._total else ""
            self._rewrite(f"{self._title}: {self._count}{total}, {name}")
        elif words[0] == "Downloading" and len(words) > 2:
            self._rewrite(f"{self._title}: {self._count}, downloading {' '.join(words[2:]).strip('()')}")
        elif line.startswith("Installing collected packages: "):
            self._rewrite(f"{self._title}: writing {len(words) - 3} packages")

    def end(self) -> None:
        if self._is_terminal:
            self._rewrite(f"{self._title}: done")
        self._write("\n")

    def _rewrite(self, text: str) -> None:
        if self._is_terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{text:<{self._width}}")
            self._width = len(text)

    def _write(self, text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)


def _count_packages(requirements: Path) -> int:
    """The packages that a file names, and those of the files that it includes."""
    count = 0
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            count += _count_packages(requirements.parent / line.removeprefix("-r ").strip())
        count += "==" in line.split("#")[0].split(";")[0]
    return count


@contextmanager
def _faults_named(place: Path) -> Generator[None, None, None]:
    """What the system refuses, as one sentence."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"Setting up {place} failed ({error.strerror or error}): check that the folder can be written "
            "and has space, and run the same command again."
        ) from error


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
