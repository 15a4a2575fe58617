from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from motion_module import pieces
from motion_module.pieces import Pieces


def sizes_of(monkeypatch, *rows):
    """Let pieces be of so many rows, of one frame and channel."""
    monkeypatch.setattr(pieces, "CPU_SIZES", tuple(4 * each for each in rows))


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 40), st.integers(1, 90))
def test_pieces_cover_each_row_once_whatever_the_size(clips, frames, places, rows):
    whole = torch.zeros(clips, frames, 2, places)
    with pytest.MonkeyPatch.context() as monkeypatch:
        sizes_of(monkeypatch, rows * frames * 2)
        for piece in Pieces().split(whole):
            assert len(piece) * piece.shape[-1] <= rows
            piece += 1
    assert whole.eq(1).all()


def test_quickest_size_is_taken_once_all_were_timed(monkeypatch):
    sizes_of(monkeypatch, 5, 20, 10)
    now = 0.0
    monkeypatch.setattr(pieces, "perf_counter", lambda: now)
    seconds_a_row, taken = {5: 3.0, 20: 2.0, 10: 1.0}, []
    for piece in Pieces().split(torch.zeros(1, 1, 1, 205)):
        taken.append(piece.shape[-1])
        now += taken[-1] * seconds_a_row[taken[-1]]
    assert taken[:9] == [5, 20, 10] * 3
    assert set(taken[9:]) == {10}


def test_one_interruption_does_not_decide(monkeypatch):
    sizes_of(monkeypatch, 5, 10)
    now = 0.0
    monkeypatch.setattr(pieces, "perf_counter", lambda: now)
    taken = []
    for piece in Pieces().split(torch.zeros(1, 1, 1, 205)):
        taken.append(piece.shape[-1])
        now += taken[-1] * (1.0 if taken[-1] == 10 else 2.0) + (1000 if len(taken) == 2 else 0)
    assert set(taken[6:]) == {10}


def test_no_piece_exceeds_the_limit_of_attention_kernels(monkeypatch):
    sizes_of(monkeypatch, 2**40)
    rows = [piece.shape[-1] for piece in Pieces().split(torch.zeros(1, 1, 1, 264 * 256))]
    assert rows == [65_535, 264 * 256 - 65_535]
