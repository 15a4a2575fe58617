"""What a temporal layer takes at most while it runs, beside diffusers'; each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import torch

from benchmarks.layers import Shape, build_layer
from benchmarks.measuring import peak_bytes
from benchmarks.options import Options
from benchmarks.peers import diffusers_layer
from benchmarks.results import Result

SHAPES = (Shape("SD1.5", 320, 64, 1, 16), Shape("SD1.5", 640, 32, 2, 16), Shape("SD1.5", 1280, 16, 2, 16))
TOY_SHAPES = (Shape("toy", 32, 16, 1, 8),)
SUBJECTS = ("ours", "diffusers")


def run(options: Options) -> Iterator[Result]:
    """One result a shape."""
    # A forked process would have what this one has freed.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        for shape in TOY_SHAPES if options.toy else SHAPES:
            jobs = [(subject, shape, options) for subject in SUBJECTS]
            ours, theirs = processes.starmap(measure, jobs, chunksize=1)
            figures = {"MiB": theirs / 2**20, "ours, MiB": ours / 2**20}
            yield Result("memory", str(shape), "diffusers", ours / max(theirs, 1), figures)


@torch.no_grad()
def measure(subject: str, shape: Shape, options: Options) -> int:
    """Bytes beyond weights and input."""
    layer = build_layer(shape.channels, shape.frames).to(options.device, options.dtype)
    peer = diffusers_layer(layer)
    size = (shape.clips * shape.frames, shape.channels, shape.side, shape.side)
    hidden = torch.randn(size, device=options.device, dtype=options.dtype)
    run_layer = (lambda: layer(hidden)) if subject == "ours" else (lambda: peer(hidden, shape.frames))
    return peak_bytes(run_layer, options.device)
