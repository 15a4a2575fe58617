"""How many windows of a step go through the model in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

import torch

from .windows import BY_MEMORY, Window

MOST_AT_ONCE = 16
"""By itself: beyond that, a GPU has long been busy."""
SHARE_OF_FREE = 0.8
"""Of the free memory, because it comes in pieces, and others allocate, too."""


def count_by_memory(device: torch.device) -> int:
    """Windows that go through the model together without fail, by what the calls before took; 1 if unknown.

    On a CPU 1, because several bring nothing there. On CUDA, each window is taken to need as much as
    PyTorch's peak so far lies above what rests there: rather too much, as others may have made it.
    """
    if device.type != "cuda":
        return 1
    resting, kept = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    free = torch.cuda.mem_get_info(device)[0] + kept - resting
    taken = max(1, torch.cuda.max_memory_allocated(device) - resting)
    return max(1, min(MOST_AT_ONCE, int(SHARE_OF_FREE * free / taken)))


class WindowBatches:
    """How many windows go together while a clip is sampled: `asked`, or as many as there is memory for.

    By itself, one goes alone first, then as many as `count` finds room for on its device; half of them where
    memory runs out all the same. In a call, the windows of a batch are clips of their own, so that the model
    predicts for each what it would predict for it alone, but for rounding.
    """

    def __init__(self, asked: int = 1, count: Callable[[torch.device], int] = count_by_memory) -> None:
        self._is_automatic, self._count = asked == BY_MEMORY, count
        self._is_measured = not self._is_automatic
        self._size = asked or 1

    def predict(
        self, call: Callable[[Window], torch.Tensor], windows: Sequence[Window]
    ) -> Iterator[torch.Tensor]:
        """What `call` predicts for each window, `(g l) ...`; it gets one, or several joined."""
        done = 0
        while done < len(windows):
            batch = _alike(windows[done : done + self._size])
            prediction = self._try(call, batch)
            if prediction is None:
                self._size = len(batch) // 2
                continue
            if not self._is_measured:
                self._size, self._is_measured = self._count(prediction.device), True
            yield from _parts(prediction, batch)
            done += len(batch)

    def _try(self, call: Callable[[Window], torch.Tensor], batch: Sequence[Window]) -> torch.Tensor | None:
        """The prediction for a batch; None where there is not memory enough, and fewer may go together."""
        try:
            return call(joined(batch))
        except torch.cuda.OutOfMemoryError:
            if len(batch) == 1 or not self._is_automatic:
                raise
        return None


def joined(windows: Sequence[Window]) -> Window:
    """Windows of one length as one, whose frames are those of each, one window after the other."""
    first, *others = windows
    if not others:
        return first
    frames, weights = first.frames, first.weights
    for window in others:
        frames, weights = frames + window.frames, weights + window.weights
    return Window(frames, weights, first.number, len(windows))


def _alike(windows: Sequence[Window]) -> list[Window]:
    """The first ones, as long as they have the first one's length."""
    length = len(windows[0].frames)
    return list(takewhile(lambda window: len(window.frames) == length, windows))


def _parts(prediction: torch.Tensor, batch: Sequence[Window]) -> Iterator[torch.Tensor]:
    """Those of each window, `(g l) ...`, of a joined one's rows `(g w l) ...`."""
    if len(batch) == 1:
        yield prediction
        return
    groups = prediction.reshape(-1, len(batch), len(batch[0].frames), *prediction.shape[1:])
    for part in groups.unbind(1):
        yield part.flatten(0, 1)
