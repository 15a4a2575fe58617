"""`python3 benchmarks`: goes on in the project's own environment, with what is compared against installed."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 (older ones get as far as this)
    sys.exit("This needs Python 3.10 or newer, but is %d.%d: install a newer one." % sys.version_info[:2])  # noqa: UP031

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = str(ROOT / "benchmarks")
# Run by path, Python looks for modules in this folder first; the packages are one level up.
sys.path[:] = [str(ROOT), *(entry for entry in sys.path if entry not in (HERE, str(ROOT)))]

import environment  # noqa: E402 (the path is needed first)

REQUIREMENTS = (*environment.RUNTIME, ROOT / "requirements-benchmarks.txt")


def main() -> int:
    """Run the benchmarks in the environment; make it first where there is none."""
    try:
        python = environment.prepare(REQUIREMENTS)
    except environment.SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Threads that wait busily for one another take a busy machine's time from what is measured.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not environment.is_inside(python):
        return environment.run_in(python, [str(Path(__file__).resolve()), *sys.argv[1:]])
    from benchmarks.command_line import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
