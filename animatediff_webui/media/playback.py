"""The order in which frames are played: forth, and back again where that was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from PIL import Image

from .store import FrameStore

THERE_AND_BACK = (0, 1, 2)


def playback_order(num_frames: int, reverse: Collection[int]) -> tuple[int, ...]:
    """The indices of the frames to play. `reverse` holds 0: append the frames in reverse;
    1: without the reversed part's first frame; 2: without its last. 1 and 2 do nothing without 0.

    All three (`THERE_AND_BACK`) repeat neither end, which is what a closed loop wants.
    """
    if 0 not in reverse:
        return tuple(range(num_frames))
    back = list(reversed(range(num_frames)))
    if 1 in reverse:
        back = back[1:]
    if 2 in reverse:
        back = back[:-1]
    return (*range(num_frames), *back)


def in_playback_order(frames: Iterable[Image.Image], reverse: Collection[int]) -> Iterator[Image.Image]:
    """`frames` in that order, one at a time: those that come again wait on disk.

    Where `frames` raise, what came of them is played back before the exception goes on.
    """
    if 0 not in reverse:
        yield from frames
        return
    with FrameStore() as store:
        interruption = store.fill(frames)
        for index in playback_order(len(store), reverse):
            yield store[index]
    if interruption:
        raise interruption
