"""`python3 tests`: makes the project's own `.venv`, then checks style, types and imports, and runs the tests.

`--slow` adds the tests that take minutes, and another run of the engine's with the oldest versions of what it
runs with. Other arguments go to pytest, which then runs alone: `python3 tests tests/core -k windows`.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 (older ones get as far as this)
    sys.exit("This needs Python 3.10 or newer, but is %d.%d: install a newer one." % sys.version_info[:2])  # noqa: UP031

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = str(ROOT / "tests")
# Run by path, Python looks for modules in this folder first; the packages are one level up.
sys.path[:] = [str(ROOT), *(entry for entry in sys.path if entry not in (HERE, str(ROOT)))]

import environment  # noqa: E402 (the path is needed first)

CHECKS = {
    "ruff": ["-m", "ruff", "check", "--quiet"],
    "pyright": ["-m", "pyright"],
    "import-linter": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
}
OLDEST = ROOT / "requirements-oldest.txt"
WORKERS = "2"
"""Processes that share the tests, file by file."""
# What runs inside a WebUI, which has no diffusers.
ENGINE_TESTS = (
    "tests/core",
    "tests/media",
    "tests/motion_module",
    "--ignore=tests/motion_module/test_diffusers.py",
)


def main(arguments: list[str]) -> int:
    """Run everything, or, with arguments for pytest, pytest alone; 1 if anything failed."""
    try:
        python = environment.prepare(environment.DEVELOPMENT)
    except environment.SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    chosen = [argument for argument in arguments if argument != "--slow"]
    checks = {} if chosen else CHECKS
    failed = [name for name, command in checks.items() if not _passes(python, name, command)]
    if failed:
        print(f"FAILED: {', '.join(failed)} (see above); the tests:", flush=True)
    marker = [] if "--slow" in arguments else ["-m", "not slow"]
    passed = [_runs_tests(python, [*marker, *chosen])]
    if arguments == ["--slow"]:
        passed.append(_runs_with_oldest(python))
    return 0 if all(passed) and not failed else 1


def _runs_with_oldest(python: Path) -> bool:
    """Whether the engine's tests pass with the oldest versions there are wheels of for this Python."""
    folder = python.parent.parent / "oldest"
    try:
        environment.prepare_folder(OLDEST, folder, python)
    except environment.SetupError as error:
        print(f"Not tested with the oldest versions: {error}", flush=True)
        return True
    versions = sorted(path.stem for path in folder.glob("*.dist-info"))
    print(f"With the oldest versions ({', '.join(versions)}):", flush=True)
    return _runs_tests(python, ENGINE_TESTS, folder)


def _runs_tests(python: Path, arguments: Sequence[str], *packages: Path) -> bool:
    command = [str(python), "-m", "pytest", "-q", "-n", WORKERS, "--dist", "loadfile", *arguments]
    return subprocess.call(command, env=_environment(python, *packages)) == 0


def _passes(python: Path, name: str, command: list[str]) -> bool:
    started = time.monotonic()
    status = subprocess.call([str(python), *command], env=_environment(python))
    print(f"{name}: {'FAILED' if status else 'passed'} in {time.monotonic() - started:.0f} s", flush=True)
    return status == 0


def _environment(python: Path, *packages: Path) -> dict[str, str]:
    """As an activated environment has it: tools find one another, and the project's packages, by PATH.

    What is in the folders `packages` hides what the environment has.
    """
    paths = os.pathsep.join((str(python.parent), os.environ.get("PATH", "")))
    modules = os.pathsep.join(map(str, (*packages, ROOT)))
    return {
        **os.environ,
        "PATH": paths,
        "PYTHONPATH": modules,
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        # One thread is fastest for models this small, and spinning ones make a busy machine four times
        # slower.
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
