"""Attention by whichever backend is the quickest for the shape on this machine.

CPUs, training, and CUDA without xformers have one backend each. Where there are more, the first calls of a
shape are each backend's in turn, timed, and all others the quickest one's: these differ by rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from time import perf_counter

import torch
from torch import Tensor

from motion_module.attention import (
    Backend,
    Inputs,
    attend_by_products,
    attend_by_sdpa,
    attend_by_triton,
    attend_by_xformers,
)
from motion_module.kernels.switch import runs_kernels
from motion_module.trials import Trial

logger = logging.getLogger(__name__)


def backends_for(query: Tensor) -> dict[str, Backend]:
    """Those that can be tried, by name. Where PyTorch has to be deterministic, there is no choice."""
    if query.device.type == "cpu":
        # With so few frames, plain products are quicker on CPUs than kernels, which are for long sequences.
        return {"products": attend_by_products}
    found: dict[str, Backend] = {"SDPA": attend_by_sdpa}
    if not query.is_cuda or torch.is_grad_enabled() or torch.are_deterministic_algorithms_enabled():
        return found
    if _has_xformers():
        found["xformers"] = attend_by_xformers
    if runs_kernels(query):
        found["Triton"] = attend_by_triton
    return found


@cache
def _has_xformers() -> bool:
    return find_spec("xformers") is not None


class AttentionBackends:
    """The backends, and what is known of their speed for each shape.

    among: which of them there are, of the queries; refusals: names of those that refused a shape.
    """

    def __init__(self, among: Callable[[Tensor], Mapping[str, Backend]] = backends_for) -> None:
        self.among = among
        self._trials: dict[tuple[object, ...], Trial[str]] = {}
        self.refusals: set[str] = set()

    def attend(self, inputs: Inputs) -> Tensor:
        """Attention by the quickest backend, or by one that is still to be timed."""
        backends = self.among(inputs.query)
        if len(backends) == 1:
            return next(iter(backends.values()))(inputs)
        trial = self._trials.setdefault((*backends, *inputs.kind), Trial(tuple(backends)))
        if trial.is_over:
            return backends[trial.choose()](inputs)
        return self._try(trial, backends, inputs)

    def _try(self, trial: Trial[str], backends: Mapping[str, Backend], inputs: Inputs) -> Tensor:
        name = trial.choose()
        _finish(inputs.query)
        began = perf_counter()
        try:
            attended = backends[name](inputs)
            _finish(inputs.query)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # each library has errors of its own
            if len(trial.seconds) == 1:
                raise
            trial.leave_out(name)
            self._say(name, error)
            return self.attend(inputs)
        trial.note(name, perf_counter() - began)
        return attended

    def _say(self, name: str, error: Exception) -> None:
        if name not in self.refusals:
            logger.warning("Attention runs without %s where it refuses the shape: %s", name, error)
            self.refusals.add(name)


def _finish(tokens: Tensor) -> None:
    """Wait for the GPU, so that a timing is of what it did."""
    if tokens.is_cuda:
        torch.cuda.synchronize(tokens.device)
