"""A model call over windows: rows are found, gathered and put back, whatever they are made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.windowed import gather_rows, predict_windows, read_layout
from animatediff_webui.core.windows import SCHEDULERS, ContextLayout, Window, build_windows

WINDOW = Window((2, 0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("rows", "parts", "groups"),
    [(3, 1, (0, 1)), (6, 1, (0, 2)), (9, 2, (2, 1)), (3, 2, (0, 1)), (9, 3, (3, 0))],
)
def test_layout_is_read_from_the_number_of_rows(rows: int, parts: int, groups: tuple[int, int]):
    layout = read_layout(rows, 3, parts)
    assert (layout.num_conds, layout.num_unconds) == groups


def test_rows_that_are_no_whole_number_of_clips_are_refused():
    with pytest.raises(UserError, match="called with 7 rows for a clip of 3 frames"):
        read_layout(7, 3)


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2))
def test_grouping_rows_and_back_changes_nothing(num_frames: int, parts: int, others: int):
    layout = read_layout((parts + others) * num_frames, num_frames, parts)
    rows = torch.arange((parts + others) * num_frames * 2.0).reshape(-1, 2)
    assert torch.equal(layout.ungrouped(layout.grouped(rows)), rows)


def test_parts_of_a_frame_stand_together_and_are_gathered_as_clips():
    layout = read_layout(9, 3, 2)
    rows = torch.tensor([10, 11, 20, 21, 30, 31, 1, 2, 3])  # frames' tens, parts' ones; then the negatives
    assert gather_rows(rows, layout, WINDOW, 9).tolist() == [30, 10, 31, 11, 3, 1]


def test_gathering_goes_into_dicts_and_lists_and_leaves_what_has_no_rows():
    layout = read_layout(3, 3)
    rows = torch.tensor([1, 2, 3])
    value: dict[str, Any] = {
        "a": [rows],
        "b": (rows, None),
        "scale": 2.0,
        "one": torch.tensor([5]),
        "sum": rows.sum(),
    }
    gathered = gather_rows(value, layout, WINDOW, 3)
    assert gathered["a"][0].tolist() == [3, 1]
    assert gathered["b"][0].tolist() == [3, 1]
    assert (gathered["b"][1], gathered["scale"]) == (None, 2.0)
    assert gathered["one"].tolist() == [5]
    assert gathered["sum"] == 6


def test_conditioning_with_more_rows_than_the_latents_is_cut_to_theirs():
    rows = torch.tensor([1, 2, 3, 4, 5, 6])
    assert gather_rows(rows, read_layout(3, 3), WINDOW, 3).tolist() == [3, 1]


@given(st.sampled_from(list(SCHEDULERS)), st.integers(1, 20), st.integers(2, 8), st.integers(1, 3))
def test_a_model_that_sees_rows_alone_predicts_the_same_in_windows(
    scheduler: str, num_frames: int, size: int, num_groups: int
):
    windows = build_windows(ContextLayout(num_frames, size, overlap=1, scheduler=scheduler), 3)
    rows = torch.randn(num_groups * num_frames, 2, dtype=torch.float64)
    calls: list[tuple[int, int]] = []
    found = predict_windows(
        lambda inputs, window: inputs["x"] * 3,
        {"x": rows},
        read_layout(len(rows), num_frames),
        windows,
        lambda done, total: calls.append((done, total)),
    )
    assert torch.allclose(found, rows * 3, atol=1e-5)
    assert calls == [(done, len(windows)) for done in range(len(windows) + 1)]


def test_what_is_raised_between_windows_goes_on_and_no_window_is_computed_after_it():
    windows = build_windows(ContextLayout(6, 2, scheduler="batched"), 0)
    computed: list[Window] = []

    def call(rows: torch.Tensor, window: Window) -> torch.Tensor:
        computed.append(window)
        return rows

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        predict_windows(call, torch.zeros(6, 1), read_layout(6, 6), windows, stop)
    assert computed == list(windows[:2])
