"""Which backend attention takes: the quickest one that takes the shape."""

from __future__ import annotations

import logging

import pytest
import torch

from motion_module import backends as backends_module
from motion_module.attention import Inputs, attend_by_products, attend_by_sdpa
from motion_module.backends import AttentionBackends, backends_for
from motion_module.trials import TIMINGS
from tests.motion_module.samples import relative_error


class Clock:
    """Stands in for time: a backend takes what it is said to."""

    def __init__(self):
        self.now, self.taken = 0.0, []

    def backend(self, name, seconds):
        def attend(inputs):
            self.taken.append(name)
            self.now += seconds
            return attend_by_products(inputs)

        return attend

    def refusing(self, name, error):
        def refuse(inputs):
            self.taken.append(name)
            raise error

        return refuse


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(backends_module, "perf_counter", lambda: clock.now)
    return clock


def inputs_of(frames=4, rows=3, **others):
    query, key, value = torch.randn(3, frames, rows, 16, generator=torch.Generator().manual_seed(0))
    return Inputs(query, key, value, 2, **others)


def among(**backends):
    return AttentionBackends(lambda query: backends)


def test_quickest_backend_is_taken_once_all_were_timed(clock):
    backends = among(slow=clock.backend("slow", 2.0), quick=clock.backend("quick", 1.0))
    for _ in range(10):
        backends.attend(inputs_of())
    assert clock.taken[: 2 * TIMINGS] == ["slow", "quick"] * TIMINGS
    assert set(clock.taken[2 * TIMINGS :]) == {"quick"}


def test_each_shape_is_timed_by_itself(clock):
    backends = among(one=clock.backend("one", 1.0), other=clock.backend("other", 2.0))
    for _ in range(10):
        backends.attend(inputs_of())
    clock.taken.clear()
    backends.attend(inputs_of(frames=5))
    backends.attend(inputs_of(frames=5))
    assert clock.taken == ["one", "other"]


def test_backend_that_refuses_a_shape_is_left_out_and_the_reason_logged_once(clock, caplog):
    refusing = clock.refusing("refusing", NotImplementedError("no operator for 4 frames"))
    backends = among(refusing=refusing, plain=clock.backend("plain", 1.0))
    with caplog.at_level(logging.WARNING):
        for frames in (4, 4, 4, 5, 5, 5):
            expected = attend_by_products(inputs_of(frames))
            assert backends.attend(inputs_of(frames)).equal(expected)
    assert clock.taken == ["refusing", "plain", "plain", "plain"] * 2
    assert [record.message for record in caplog.records] == [
        "Attention runs without refusing where it refuses the shape: no operator for 4 frames"
    ]


def test_error_of_the_last_backend_is_not_hidden(clock):
    backends = among(one=clock.refusing("one", ValueError("first")), other=clock.refusing("other", KeyError))
    with pytest.raises(KeyError):
        backends.attend(inputs_of())


def test_too_little_memory_is_no_refusal(clock):
    full = clock.refusing("full", torch.cuda.OutOfMemoryError("full"))
    backends = among(full=full, plain=clock.backend("plain", 1.0))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        backends.attend(inputs_of())


@pytest.mark.parametrize("scale", [None, torch.rand(4, 3, 1)])
@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 0.5, 1.0, 0.0])])
def test_backends_agree(scale, weights):
    inputs = inputs_of(scale=scale, weights=weights)
    assert relative_error(attend_by_sdpa(inputs), attend_by_products(inputs)) <= 1e-6


def test_cpus_have_plain_products_alone():
    assert backends_for(inputs_of().query) == {"products": attend_by_products}
