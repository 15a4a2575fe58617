"""Windows that go through the model together predict what they predict alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.window_batches import WindowBatches, count_by_memory, joined
from animatediff_webui.core.windowed import predict_windows, read_layout
from animatediff_webui.core.windows import SCHEDULERS, ContextLayout, Window, build_windows

TRIPLES = build_windows(ContextLayout(12, 3, scheduler="batched"), 0)


def mixing(rows: torch.Tensor, window: Window) -> torch.Tensor:
    """A model in which a clip's frames see each other, and each row knows its frame."""
    clips = rows.reshape(-1, window.length, *rows.shape[1:])
    told = torch.tensor(window.frames, dtype=rows.dtype).repeat(len(rows) // len(window.frames))
    return (clips.cumsum(1) + clips.mean(1, keepdim=True)).flatten(0, 1) + told[:, None]


def predict(
    batches: WindowBatches, windows: Sequence[Window], num_frames: int, parts: int = 1, others: int = 1
):
    torch.manual_seed(0)
    rows = torch.randn((parts + others) * num_frames, 2, dtype=torch.float64)
    calls: list[Window] = []
    begun: list[int] = []

    def call(part: torch.Tensor, window: Window) -> torch.Tensor:
        calls.append(window)
        return mixing(part, window)

    layout = read_layout(len(rows), num_frames, parts)
    found = predict_windows(
        call, rows, layout, windows, lambda done, total: begun.append(done), batches=batches
    )
    return found, calls, begun


@given(
    st.sampled_from(list(SCHEDULERS)),
    st.sampled_from(["N", "R-P", "A", "Seamless"]),
    st.integers(1, 20),
    st.integers(2, 8),
    st.integers(1, 3),
    st.integers(2, 7),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_windows_together_predict_what_each_predicts_alone(
    scheduler: str, loop: str, num_frames: int, size: int, stride: int, together: int, parts: int, step: int
):
    layout = ContextLayout(num_frames, size, stride, 1, loop, scheduler, "pyramid")
    windows = build_windows(layout, step)
    alone, _, _ = predict(WindowBatches(1), windows, num_frames, parts)
    found, calls, begun = predict(WindowBatches(together), windows, num_frames, parts)
    assert torch.allclose(found, alone, atol=1e-5)
    assert begun == list(range(len(windows) + 1))
    assert sum(window.num_windows for window in calls) == len(windows)
    assert max(window.num_windows for window in calls) <= together


def test_windows_of_another_length_go_by_themselves():
    windows = build_windows(ContextLayout(7, 4, scheduler="batched"), 0)
    assert [len(window.frames) for window in windows] == [3, 4]
    _, calls, _ = predict(WindowBatches(2), windows, 7)
    assert [window.num_windows for window in calls] == [1, 1]


def test_joined_window_has_the_frames_of_each_and_knows_how_many_it_is():
    window = joined(TRIPLES[1:3])
    assert (window.frames, window.length, window.number) == ((3, 4, 5, 6, 7, 8), 3, 1)


def test_by_memory_one_window_goes_first_and_then_as_many_as_there_is_room_for():
    batches = WindowBatches(0, lambda device: 3)
    assert [window.num_windows for window in predict(batches, TRIPLES, 12)[1]] == [1, 3]
    assert [window.num_windows for window in predict(batches, TRIPLES, 12)[1]] == [3, 1]


class SmallDevice:
    """Holds so many windows."""

    def __init__(self, room: int) -> None:
        self.room, self.tried = room, list[int]()

    def __call__(self, window: Window) -> torch.Tensor:
        self.tried.append(window.num_windows)
        if window.num_windows > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return torch.zeros(len(window.frames), 1)


def test_where_memory_runs_out_half_as_many_go_on_together():
    windows = build_windows(ContextLayout(27, 3, scheduler="batched"), 0)
    device, batches = SmallDevice(2), WindowBatches(0, lambda device: 8)
    assert len(list(batches.predict(device, windows))) == 9
    assert device.tried == [1, 8, 4, 2, 2, 2, 2]


@pytest.mark.parametrize(("asked", "room"), [(4, 2), (0, 0)])
def test_too_little_memory_for_what_was_asked_or_for_one_window_is_raised(asked: int, room: int):
    with pytest.raises(torch.cuda.OutOfMemoryError):
        list(WindowBatches(asked, lambda device: 4).predict(SmallDevice(room), TRIPLES))


def test_windows_that_are_tried_again_are_announced_once():
    begun: list[int] = []
    device = SmallDevice(1)
    predict_windows(
        lambda rows, window: device(window),
        torch.zeros(12, 1),
        read_layout(12, 12),
        TRIPLES,
        lambda done, total: begun.append(done),
        batches=WindowBatches(0, lambda device: 4),
    )
    assert begun == [0, 1, 2, 3, 4]
    assert device.tried == [1, 3, 1, 1, 1]


def test_on_a_cpu_and_on_devices_of_unknown_memory_one_window_goes_at_a_time():
    assert {count_by_memory(torch.device(kind)) for kind in ("cpu", "mps")} == {1}


@pytest.mark.parametrize(("free", "expected"), [(10, 1), (60, 4), (10_000, 16)])
def test_on_cuda_it_goes_by_the_peak_so_far_and_by_what_is_free(monkeypatch, free, expected):
    figures = {"memory_allocated": 20, "memory_reserved": 30, "max_memory_allocated": 34}
    for name, figure in figures.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, figure=figure: figure)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10_000))
    assert count_by_memory(torch.device("cuda")) == expected
