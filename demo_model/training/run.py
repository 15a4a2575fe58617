"""How every stage begins, and what it says on the way."""

from __future__ import annotations

import numpy as np
import torch


def seeded(seed: int) -> np.random.Generator:
    """A generator that starts at `seed`; PyTorch's own does, too."""
    torch.manual_seed(seed)
    return np.random.default_rng(seed)


class Journal:
    """Prints, every `every` steps of a stage, the means of what was noted since."""

    def __init__(self, stage: str, every: int = 50) -> None:
        self.stage, self.every, self.step = stage, every, 0
        self._notes: list[dict[str, float]] = []

    def note(self, **measured: torch.Tensor) -> None:
        """One step's numbers, the same ones at every step."""
        self.step += 1
        self._notes.append({name: value.item() for name, value in measured.items()})
        if self.step % self.every == 0:
            said: list[str] = []
            for name in measured:
                mean = np.mean([note[name] for note in self._notes])
                said.append(f"{name} {mean:.5f}")
            print(f"{self.stage} {self.step}: {', '.join(said)}", flush=True)
            self._notes.clear()
