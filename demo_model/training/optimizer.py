"""Muon (Jordan et al., 2024) for the hidden weights, AdamW for the rest, a cosine, and an averaged copy."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

ITERATION = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest (semi-)orthogonal matrix, about, by the Newton-Schulz iteration of Muon."""
    a, b, c = ITERATION
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, for weights seen as (out, in*kernel) matrices."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float = 0.02, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - no closure here
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                average = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(average, group["momentum"]).flatten(1)
                scale = math.sqrt(max(1.0, update.shape[0] / update.shape[1]))
                weight.mul_(1 - group["lr"] * group["decay"])
                weight.add_(orthogonalize(update).view_as(weight), alpha=-group["lr"] * scale)


class Trainer:
    """Both optimisers under one schedule: warm-up, then a cosine to a fiftieth of the rate."""

    def __init__(
        self,
        model: nn.Module,
        steps: int,
        *,
        muon: float = 0.02,
        adam: float = 2e-3,
        first: tuple[str, ...] = (),
    ) -> None:
        named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
        hidden: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, weight in named:
            is_first = name.startswith(first or ("conv_in", "conv_out"))
            (hidden if weight.ndim >= 2 and not is_first else rest).append(weight)
        self.model, self.steps, self.done = model, steps, 0
        self.optimizers: list[tuple[torch.optim.Optimizer, float]] = []
        if hidden:
            self.optimizers.append((Muon(hidden, muon), muon))
        if rest:
            self.optimizers.append((torch.optim.AdamW(rest, adam, betas=(0.9, 0.98), weight_decay=0.0), adam))
        self.average = {name: weight.detach().clone() for name, weight in named}

    def step(self, loss: torch.Tensor) -> None:
        """One update from a loss; the averaged copy follows with a horizon that grows to 500 steps."""
        loss.backward()
        fraction = self.done / self.steps
        factor = min(1.0, (self.done + 1) / 50) * (
            0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
        )
        for optimizer, rate in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.done += 1
        horizon = min(0.997, 1 - 10 / (10 + self.done))
        for name, weight in self.model.named_parameters():
            if name in self.average:
                self.average[name].lerp_(weight.detach(), 1 - horizon)

    def averaged(self, prefix: str = "") -> dict[str, torch.Tensor]:
        """The averaged copy of the weights whose names begin with `prefix`, without it."""
        return {
            name.removeprefix(prefix): weight
            for name, weight in self.average.items()
            if name.startswith(prefix)
        }
