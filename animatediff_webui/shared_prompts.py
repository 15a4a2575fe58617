"""Cross-attention of many frames that are told the same: each prompt's keys and values, once a call."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

PROJECTIONS = (".attn2.to_k", ".attn2.to_v")
"""What ldm's and diffusers' UNets call the projections of a prompt."""


@contextmanager
def prompts_shared(unet: nn.Module) -> Generator[None]:
    """Inside, the UNet's cross-attention projects equal prompts of neighbouring rows once.

    A clip's frames mostly share a prompt, and at small sizes projecting it for each takes a tenth of a call
    on a CPU. On other devices nothing changes: it takes little there, and looking for equal rows would wait.
    """
    prompts = _Prompts()
    with ExitStack() as hooks:
        hooks.callback(unet.register_forward_pre_hook(prompts.forget).remove)
        for name, module in unet.named_modules():
            if name.endswith(PROJECTIONS):
                hooks.callback(module.register_forward_pre_hook(prompts.distinct).remove)
                hooks.callback(module.register_forward_hook(prompts.repeated).remove)
        yield


class _Prompts:
    """The rows `r t c` that a call's projections are given, and those of them that differ."""

    def __init__(self) -> None:
        self._rows: Tensor | None = None
        self._distinct: Tensor | None = None
        self._places = torch.empty(0)

    def forget(self, _unet: nn.Module, _args: object) -> None:
        """Before a call of the UNet, which may write new prompts to where the last ones were."""
        self._rows = self._distinct = None

    def distinct(self, _projection: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        rows, *rest = args
        if rows is not self._rows:
            self._rows, self._distinct = rows, None
            if rows.device.type == "cpu":
                distinct, self._places = torch.unique_consecutive(rows, return_inverse=True, dim=0)
                self._distinct = distinct if len(distinct) < len(rows) else None
        return None if self._distinct is None else (self._distinct, *rest)

    def repeated(self, _projection: nn.Module, _args: object, projected: Tensor) -> Tensor | None:
        return None if self._distinct is None else projected[self._places]
