"""What a whole run takes at most, by the clip's length; each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

from benchmarks.measuring import most_bytes
from benchmarks.options import Options
from benchmarks.results import Result
from demo_model.loading import load_animator

PROMPT = "a red circle moving right on a blue background"
SIDE = 64
"""Pixels: small, so that what grows with the length is not lost beside what does not."""
CONTEXT_LENGTH = 16
LENGTHS = (64, 256, 1024)
TOY_LENGTHS = (20, 32)


def run(options: Options) -> Iterator[Result]:
    """One result a length, beside the shortest."""
    shortest, *longer = TOY_LENGTHS if options.toy else LENGTHS
    # A forked process would have what this one has freed.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as processes:
        least = processes.apply(measure, (shortest,))
        for length in longer:
            most = processes.apply(measure, (length,))
            figures = {"MiB": least / 2**20, "ours, MiB": most / 2**20}
            yield Result("lengths", f"{length} frames", f"{shortest} frames", most / least, figures)


def measure(length: int) -> int:
    """Bytes that one step of the embedded model, its decoding and the finished frames take."""
    animator = load_animator()
    clip = animator.generate(
        PROMPT, steps=1, width=SIDE, height=SIDE, video_length=length, batch_size=CONTEXT_LENGTH
    )
    for frame in clip.frames():
        frame.close()
    return most_bytes(animator.options.torch_device)
