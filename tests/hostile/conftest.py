"""Small models that anybody may read, and the command line with them."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]  # children are copies of the process, which Windows cannot make

SMALL = (
    "--steps", "2", "--video-length", "2", "--batch-size", "2", "--seed", "1", "--width", "64",
    "--height", "64",
)  # fmt: skip


@pytest.fixture(scope="session")
def public_folder() -> Iterator[Path]:
    """A folder that every user may read, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def models(checkpoint, module_file, public_folder) -> list[str]:
    """Options of a clip that takes a tenth of a second, by models that every user may read."""
    folder = shutil.copytree(checkpoint, public_folder / checkpoint.name)
    module = Path(shutil.copy(module_file, public_folder))
    for path in (module, folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return ["--checkpoint", str(folder), "--model", str(module), *SMALL]


@pytest.fixture(scope="session")
def generate(models, animator) -> Callable[..., Callable[[], int]]:
    """`generate(options...)` is the work of a child: the command line, a prompt and small models.

    They are loaded once, in the parent; each child has a copy.
    """
    from animatediff_webui.hosts.diffusers import animator as animators
    from standalone.command_line import main

    animator.generate("a", steps=1, video_length=1, batch_size=1)

    def prepare(*options: object, prompt: str = "a circle", command: str = "generate", before=lambda: None):
        def work() -> int:
            animators.load_pipeline = lambda options, checkpoint: animator.pipeline
            before()
            return main([command, prompt, *models, *map(str, options)])

        return work

    return prepare


def finals(folder: Path) -> list[Path]:
    """All that lies there under a final name."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def leftovers(folder: Path) -> list[Path]:
    """All that lies there under a hidden one."""
    return sorted(path for path in folder.rglob(".*"))
