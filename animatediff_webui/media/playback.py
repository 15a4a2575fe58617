"""Frames in the order in which they are played: forth, and back again where that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from PIL import Image

from .store import FrameStore


def in_order(frames: Iterable[Image.Image], order: Sequence[int]) -> Iterator[Image.Image]:
    """`frames` as `order` names them, such as a plan's `played_frames`, one at a time.

    Where frames come again or out of turn, all wait on disk; else they pass straight through. Where `frames`
    raise, what came of them is played before the exception goes on.
    """
    if tuple(order) == tuple(range(len(order))):
        yield from islice(frames, len(order))
        return
    with FrameStore() as store:
        interruption = store.fill(frames)
        for index in order:
            if index < len(store):
                yield store[index]
    if interruption:
        raise interruption
