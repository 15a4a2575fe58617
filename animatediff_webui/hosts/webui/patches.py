"""Borrowed attributes of the host's objects, put back whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from motion_module import BetaSchedule, alphas_cumprod

_MISSING = object()
# SD1.x keeps these beside alphas_cumprod, and some hosts' samplers read them.
_SQUARE_ROOTS = {
    "sqrt_alphas_cumprod": lambda alphas: alphas.sqrt(),
    "sqrt_one_minus_alphas_cumprod": lambda alphas: (1 - alphas).sqrt(),
}

# The host's objects are Any: its modules are not importable where types are checked.


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` inside, on this object alone; afterwards it is what it was."""
    before = _own(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


@contextmanager
def replaced_item(values: dict[str, Any], key: str, value: Any) -> Iterator[None]:
    """The same for an entry of a dict."""
    before = values.get(key, _MISSING)
    values[key] = value
    try:
        yield
    finally:
        if before is _MISSING:
            del values[key]
        else:
            values[key] = before


@contextmanager
def wrapped(owner: Any, name: str, function: Any) -> Iterator[None]:
    """The same for a method; where somebody has wrapped ours meanwhile, theirs stays."""
    before = _own(owner, name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        if getattr(owner, name, None) is function:
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


@contextmanager
def replaced_schedule(sd_model: Any, schedule: BetaSchedule, apply_overrides: Any = None) -> Iterator[None]:
    """Inside, samplers made from `sd_model` follow `schedule`.

    `apply_overrides` is the host's function that puts the user's own changes ("zero terminal SNR",
    downcast alphas) on top of `alphas_cumprod_original`; hosts before 1.8 have neither.
    """
    # A new tensor each time: loading a checkpoint's weights writes into the model's buffers.
    alphas = alphas_cumprod(schedule).to(sd_model.alphas_cumprod)
    with ExitStack() as stack:
        stack.enter_context(replaced(sd_model, "alphas_cumprod", alphas))
        for name, derive in _SQUARE_ROOTS.items():
            if isinstance(getattr(sd_model, name, None), torch.Tensor):
                stack.enter_context(replaced(sd_model, name, derive(alphas).to(getattr(sd_model, name))))
        if hasattr(sd_model, "alphas_cumprod_original"):
            original = alphas.clone().to(sd_model.alphas_cumprod_original)
            stack.enter_context(replaced(sd_model, "alphas_cumprod_original", original))
            if apply_overrides is not None:
                apply_overrides(sd_model)
        yield


def _own(owner: Any, name: str) -> Any:
    """What this very object, not its class, has under `name`: attribute or buffer."""
    for values in (vars(owner), vars(owner).get("_buffers", {})):
        if name in values:
            return values[name]
    return _MISSING
