"""`python3 standalone "PROMPT"`: goes on in the project's own environment, which the first run makes."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 (older ones get as far as this)
    sys.exit("This needs Python 3.10 or newer, but is %d.%d: install a newer one." % sys.version_info[:2])  # noqa: UP031

import gc
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = str(ROOT / "standalone")
# Run by path, Python looks for modules in this folder first; the packages are one level up.
sys.path[:] = [str(ROOT), *(entry for entry in sys.path if entry not in (HERE, str(ROOT)))]

import environment  # noqa: E402 (the path is needed first)


def main() -> int:
    """Run the command line in the environment; without one, make it first."""
    try:
        python = environment.prepare()
    except environment.SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; the next run goes on setting up.", file=sys.stderr)
        return 130
    if not environment.is_inside(python):
        return environment.run_in(python, [str(Path(__file__).resolve()), *sys.argv[1:]])
    # Loading makes hundreds of thousands of objects that stay: a fifth of its time went into looking for
    # garbage among them.
    gc.set_threshold(1_000_000)
    # PyTorch's threads wait for one another by spinning: beside one other busy process, a clip took six times
    # as long as with threads that sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from standalone.command_line import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
