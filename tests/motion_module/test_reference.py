"""Frames of the first window that the others see: what attention gives with them, and when there are none."""

from __future__ import annotations

import pytest
import torch

from motion_module import MotionControl, Reference, Site, pieces
from tests.motion_module.samples import V3, module_of, relative_error

FIRST = Site("down_blocks", 0, 0)
FRAMES = 6


def hidden_states(seed, clips=1):
    return torch.randn(clips * FRAMES, 32, 4, 4, generator=torch.Generator().manual_seed(seed))


def run(module, hidden, reference=None):
    with module.frames(FRAMES, control=MotionControl(reference=reference)):
        return module.layers()[FIRST](hidden)


def attended(attention, tokens, others, strength):
    """softmax over the frame's own window and, `strength` times, over some of another's, written plainly."""
    weights = {name: value.double() for name, value in attention.state_dict().items()}
    rows = []
    for own, other in zip(tokens.double().unbind(1), others.double().unbind(1), strict=True):
        own, other = (
            own + weights["pos_encoder.pe"][0, :FRAMES],
            other + weights["pos_encoder.pe"][0, :FRAMES],
        )
        seen = torch.cat([own, other[[0, 1, 3, 4]]])
        query, key, value = (
            own @ weights["to_q.weight"].T,
            *(seen @ weights[f"to_{n}.weight"].T for n in "kv"),
        )
        heads = []
        for q, k, v in zip(query.chunk(8, 1), key.chunk(8, 1), value.chunk(8, 1), strict=True):
            counted = torch.exp(q @ k.T / q.shape[1] ** 0.5)
            counted[:, FRAMES:] *= strength
            heads.append(counted / counted.sum(1, keepdim=True) @ v)
        rows.append(torch.cat(heads, 1) @ weights["to_out.0.weight"].T + weights["to_out.0.bias"])
    return torch.stack(rows, 1)


@pytest.mark.parametrize("strength", [0.3, 1.0, 4.0])
def test_later_window_sees_four_frames_of_the_first_one_as_often_as_the_strength_says(strength):
    module = module_of(V3)
    attention = module.get_submodule(
        f"{FIRST.name}.temporal_transformer.transformer_blocks.0.attention_blocks.0"
    )
    first, later = torch.randn(2, FRAMES, 5, 32, generator=torch.Generator().manual_seed(1))
    for tokens, is_first in ((first, True), (later, False)):
        control = MotionControl(reference=Reference(strength, is_first))
        with module.frames(FRAMES, control=control):
            found = attention(tokens, torch.nn.Identity()) - tokens
    assert relative_error(found, attended(attention, later, first, strength)) <= 1e-5


def test_first_window_is_as_without_and_another_step_sees_its_own_first_window():
    module = module_of(V3)
    plain = run(module, hidden_states(1))
    assert run(module, hidden_states(1), Reference(1, True)).equal(plain)
    later = run(module, hidden_states(2), Reference(1, False))
    assert not later.allclose(run(module, hidden_states(2)))
    run(module, hidden_states(3), Reference(1, True))
    assert not run(module, hidden_states(2), Reference(1, False)).allclose(later)
    module.forget()
    assert run(module, hidden_states(2), Reference(1, False)).equal(run(module, hidden_states(2)))


def test_pieces_of_any_size_give_the_same(monkeypatch):
    module, found = module_of(V3), []
    for sizes in ((1, 10**9), (10**9, 1), (20_000, 1), (10**9, 10**9)):
        for seed, size in enumerate(sizes):
            monkeypatch.setattr(pieces, "CPU_SIZES", (size,))
            module.runtime.pieces = pieces.Pieces()
            rows = run(module, hidden_states(seed, clips=2), Reference(1, seed == 0))
        found.append(rows)
    assert max(relative_error(each, found[0]) for each in found) <= 1e-5
