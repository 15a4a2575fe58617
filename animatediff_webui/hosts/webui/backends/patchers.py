"""What Forge, reForge and Forge Classic have in common: a patcher around each real model, and one memory.

A checkpoint holds a struct of patchers. The host exchanges the struct, and scripts the patcher, by copies
again and again while it samples, but all copies share the real model. So what a call of the model shall do
is set up on that, and taken back from it; LoRAs, wrappers and modifiers of the host's patcher stay at work
around and inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import nn

from animatediff_webui.hosts.webui.controlnet.linked import Deferred, is_deferred
from animatediff_webui.hosts.webui.host_types import ModelCall
from animatediff_webui.hosts.webui.patches import replaced, wrapped
from animatediff_webui.hosts.webui.placement import on_device, whole_layers
from motion_module.unets import detect_base_model

from .kept_attention import WholeAttention, keeps_attention

if TYPE_CHECKING:
    from motion_module.placeable import Placeable

_ROWS = "rows of the whole call"
_EXTRA_MODELS = "extra_model_patchers_during_sampling"
_LITTLE_MEMORY = ("LOW_VRAM", "NO_VRAM")
"""States of the host's memory in which it holds on the device what it runs just now, and no more."""


class RealModel(Protocol):
    """The UNet between noisy and denoised latents; rows follow one another in groups of whole clips."""

    diffusion_model: nn.Module
    apply_model: ModelCall

    def memory_required(self, input_shape: Sequence[int]) -> float: ...


class Patcher(Protocol):
    """The UNet with what is to be done to it."""

    model: RealModel
    load_device: torch.device
    model_options: dict[str, object]
    extra_model_patchers_during_sampling: list[object]
    controlnet_linked_list: object | None

    def add_extra_torch_module_during_sampling(self, m: nn.Module, cast_to_unet_dtype: bool) -> object: ...


class ForgeObjects(Protocol):
    """A checkpoint's patchers."""

    unet: Patcher


class ForgeModel(Protocol):
    """A checkpoint: its patchers as they are in use, with LoRAs alone, and as they were loaded."""

    forge_objects: ForgeObjects
    forge_objects_after_applying_lora: ForgeObjects
    forge_objects_original: ForgeObjects


class LoadedModel(Protocol):
    """A model on the device."""

    model: object

    def model_unload(self) -> object: ...


class Memory(Protocol):
    """The host's management of memory."""

    vram_state: Enum
    current_loaded_models: list[LoadedModel]


def holds_unet_with(model: object, schedule: str) -> bool:
    """Whether it is a checkpoint of these hosts whose UNet's model keeps its noise schedule in `schedule`.

    Raises IncompatibleBaseModelError where no motion module can fit, as for Flux.
    """
    objects = getattr(model, "forge_objects", None)
    real = getattr(getattr(objects, "unet", None), "model", None)
    if not hasattr(real, schedule):
        return False
    detect_base_model(cast("RealModel", real).diffusion_model)
    return True


@dataclass(frozen=True)
class Patched:
    """A checkpoint's model as these hosts run it: what does not depend on the kind of its code."""

    model: ForgeModel
    memory: Memory

    @property
    def real(self) -> RealModel:
        return self.model.forge_objects.unet.model

    @property
    def unet(self) -> nn.Module:
        return self.real.diffusion_model

    @property
    def alternates_parts(self) -> bool:
        return False

    @contextmanager
    def wrapped_call(self, wrap: Callable[[ModelCall], ModelCall]) -> Generator[None, None, None]:
        def wrap_call(apply_model: ModelCall) -> ModelCall:
            return keyword_call(wrap, apply_model, self._keeps_attention)

        with wrapped(self.real, "apply_model", wrap_call):
            yield

    def _keeps_attention(self) -> bool:
        """Whether one of the scripts that patched the UNet may keep attention of a call."""
        return keeps_attention(self.model.forge_objects.unet.model_options)

    @contextmanager
    def estimated(self, share: float) -> Generator[None, None, None]:
        """Of ControlNet's signals, which may be those of all rows, these are reckoned with."""

        def in_windows(estimate: Callable[..., float]) -> Callable[..., float]:
            def of_window(input_shape: Sequence[int], *args: object, **kwargs: object) -> float:
                rows, *sizes = input_shape
                linked = self.model.forge_objects.unet.controlnet_linked_list
                if linked is None or is_deferred(linked):
                    rows *= share
                return estimate([rows, *sizes], *args, **kwargs)

            return of_window

        with wrapped(self.real, "memory_required", in_windows):
            yield

    @contextmanager
    def placed(self, module: Placeable, *, keep: bool) -> Generator[None, None, None]:
        """The host loads and unloads the motion module with the UNet."""
        device = self.model.forge_objects.unet.load_device
        if self.memory.vram_state.name in _LITTLE_MEMORY:
            with on_device(module, device, layer_by_layer=True):
                yield
            return
        try:
            with (
                noting_nothing(module),
                whole_layers(module),
                loaded_along(self._patchers, module, self.memory),
            ):
                yield
        finally:
            module.to(device if keep else "cpu")

    def _patchers(self) -> list[Patcher]:
        """Those of the UNet, each once: the host makes the next pass's from one of them."""
        model = self.model
        structs = (model.forge_objects_original, model.forge_objects_after_applying_lora, model.forge_objects)
        return list({id(each.unet): each.unet for each in structs}.values())


def keyword_call(
    wrap: Callable[[ModelCall], ModelCall],
    apply_model: ModelCall,
    keeps_attention: Callable[[], bool] = lambda: False,
) -> ModelCall:
    """`apply_model(x, t, **conditioning)` gone through `wrap`, which knows `call(x, t, conditioning)`.

    Where a script `keeps_attention`, it gets that of all rows.
    """

    def call(x: torch.Tensor, t: torch.Tensor, **conditioning: object) -> torch.Tensor:
        options = cast("Mapping[str, object]", conditioning.pop("transformer_options", {}))
        whole = WholeAttention(options, len(x))

        def call_window(rows: torch.Tensor, times: torch.Tensor, cond: Mapping[str, object]) -> torch.Tensor:
            told: Mapping[str, object] = window_options(options, times, len(x))
            cond = dict(cond)
            if _ROWS in cond:
                told = whole.watching(told, cast("torch.Tensor", cond.pop(_ROWS)))
            control = cond.get("control")
            if isinstance(control, Deferred):
                cond["control"] = control.of_window(rows, times, cond, told)
            return apply_model(rows, times, **cond, transformer_options=told)

        if keeps_attention():
            conditioning[_ROWS] = whole.rows  # of which each window gets its own
        prediction = wrap(call_window)(x, t, conditioning)
        whole.show()
        return prediction

    return call


def window_options(options: Mapping[str, object], times: torch.Tensor, num_rows: int) -> dict[str, object]:
    """What the UNet's patches are told of a call of `num_rows` rows, for a part that has those `times`.

    Rows that are told apart by the host, prompt and negative prompt, come in equal groups, so the part has
    the same groups with fewer rows each.
    """
    told = dict(options)
    sigmas = told.get("sigmas")
    if isinstance(sigmas, torch.Tensor) and sigmas.ndim and num_rows % len(sigmas) == 0:
        told["sigmas"] = times[: len(sigmas) * len(times) // num_rows]
    groups = cast("Sequence[int]", told.get("cond_or_uncond") or ())
    if not groups or len(times) % len(groups):
        return told
    length = len(times) // len(groups)
    kinds = [kind for kind in groups for _ in range(length)]
    if isinstance(told.get("cond_mark"), torch.Tensor):
        told["cond_mark"] = torch.tensor(kinds).to(times)
    for name, is_negative in {"cond_indices": False, "uncond_indices": True}.items():
        if name in told:
            told[name] = [row for row, kind in enumerate(kinds) if bool(kind) is is_negative]
    return told


@contextmanager
def loaded_along(
    find_patchers: Callable[[], Sequence[Patcher]], module: Placeable, memory: Memory
) -> Generator[None, None, None]:
    """Inside, the host knows the module as one more model that the UNet's patchers need to sample.

    Afterwards it has unloaded it, and neither knows of it nor do the patchers that are there by then: scripts
    copy them, with what they need.
    """
    patchers = find_patchers()
    with ExitStack() as stack:
        for patcher in patchers:
            # The host adds ControlNets to this very list, and leaves them in it.
            others = list(patcher.extra_model_patchers_during_sampling)
            stack.enter_context(replaced(patcher, _EXTRA_MODELS, others))
        first, *rest = patchers
        first.add_extra_torch_module_during_sampling(module, cast_to_unet_dtype=False)
        added = first.extra_model_patchers_during_sampling[-1]
        for patcher in rest:
            patcher.extra_model_patchers_during_sampling.append(added)
        try:
            yield
        finally:
            for patcher in find_patchers():
                models = patcher.extra_model_patchers_during_sampling
                models[:] = [each for each in models if each is not added]
            for loaded in [each for each in memory.current_loaded_models if each.model is added]:
                memory.current_loaded_models.remove(loaded)
                loaded.model_unload()


@contextmanager
def noting_nothing(module: nn.Module) -> Generator[None, None, None]:
    """Inside, the host may keep its notes on the module, which would else hold it in memory."""
    before = set(vars(module))
    try:
        yield
    finally:
        for name in set(vars(module)) - before:
            delattr(module, name)


@contextmanager
def replaced_sigmas(prediction: nn.Module, sigmas: torch.Tensor) -> Generator[None, None, None]:
    """Inside, the host's table from timesteps to noise levels, and back, is `sigmas`."""
    sigmas = sigmas.to(getattr(prediction, "sigmas"))  # noqa: B009  (a buffer of the host's class)
    with replaced(prediction, "sigmas", sigmas), replaced(prediction, "log_sigmas", sigmas.log()):
        yield


def noise_levels(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Sigma of each timestep (Karras et al. 2022, eq. 187, for variance-preserving models)."""
    return ((1 - alphas_cumprod) / alphas_cumprod).sqrt()
