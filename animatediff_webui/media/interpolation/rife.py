"""RIFE (Huang et al., arXiv 2011.06294) by ncnn and Vulkan, in a process of its own.

The package's own code ends the whole process where a file is damaged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from animatediff_webui.core.file_names import natural_key
from animatediff_webui.media.errors import MediaError, MissingPackageError
from animatediff_webui.media.processes import streamed
from animatediff_webui.media.store import FrameStore

from .models import InterpolationModels

PACKAGES = {"rife_ncnn_vulkan_python": "rife-ncnn-vulkan-python-tntwise", "cv2": "opencv-python-headless"}
"""What it needs, and how pip calls that: the first does not say that it needs the second."""
FILES = ("flownet.param", "flownet.bin")
_WORKER = Path(__file__).with_name("rife_worker.py")


def check_rife(models: InterpolationModels) -> None:
    """Raise MediaError where a package or the network's files are missing."""
    missing = [pip_name for name, pip_name in PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise MissingPackageError(f"interp is RIFE, which needs packages: pip install {' '.join(missing)}.")
    _find(models)


def rife_frames(store: FrameStore, factor: int, models: InterpolationModels) -> Iterator[Image.Image]:
    """The frames of `store` with factor - 1 behind each but the last. Raises MediaError."""
    folder, size = _find(models), store.size
    device = "cpu" if models.device == "cpu" else "gpu"
    command = [sys.executable, str(_WORKER), str(folder.absolute()), *map(str, (*size, factor)), device]

    def explain(log: str, code: int) -> MediaError:
        reason = log.strip().splitlines()[-1:] if code > 0 else [f"it ended with {code}"]
        return MediaError(f"RIFE failed ({''.join(reason)}): the files in {folder} may be damaged.")

    for data in streamed(command, size[0] * size[1] * 3, store.stream(), explain):
        yield Image.frombytes("RGB", size, data)


def _find(models: InterpolationModels) -> Path:
    """The folder of the network's files, the newest by its name. Raises MediaError."""
    folders = models.folder.glob("rife-v4*") if models.folder else ()
    found = [each for each in folders if all((each / name).is_file() for name in FILES)]
    if not found:
        raise models.missing("RIFE", f"a folder such as rife-v4.6 with {' and '.join(FILES)}")
    return max(found, key=lambda folder: natural_key(folder.name))
