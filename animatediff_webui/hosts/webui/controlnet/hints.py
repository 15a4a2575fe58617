"""What ControlNet has prepared of every frame, for the frames of one window.

Its networks add what they see to the UNet's rows one to one, so a call for a window needs the window's rows,
repeated for each group of the call. Whole hints stay where ControlNet has put them, on the CPU.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import nn

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.prompt_travel import blend_keyframes
from animatediff_webui.core.windows import Window
from animatediff_webui.hosts.webui.host_types import Request
from animatediff_webui.hosts.webui.patched_unet import UnetPatcher, when_patched
from motion_module.image_models import ImageModel, detect_image_model

from .linked import LinkedHint, chain_of, defer, is_deferred, patches_of
from .peer import ControlParams, ImageEmbed, IPAdapter, LLLiteLayer, Unit, find_script


class Hint(Protocol):
    """Something that ControlNet's networks read, with one row for each frame."""

    def show(self, window: Window, num_groups: int) -> None:
        """Let them read the window's frames, for each of the groups of a call."""
        ...

    def put_back(self) -> None:
        """Let them read what they had."""
        ...


@contextmanager
def windowed_hints(
    p: Request, unet: nn.Module, num_frames: int, *, looped: bool = False
) -> Generator[ClipHints, None, None]:
    """Inside, what is yielded shows ControlNet's networks the frames of a window; then all is as it was.

    `looped`: embeddings go on from the last keyframe to the first. Raises UserError where ControlNet has
    units to apply but could not prepare them, as the host would go on without; and where one of them is made
    for another image model than `unet`.
    """
    hints = _find_hints(p, detect_image_model(_shapes(unet)), num_frames, looped)
    linked = LinkedHints(p, num_frames)
    with ExitStack() as stack:
        for hint in hints:
            stack.callback(hint.put_back)
        stack.enter_context(linked.found())
        yield ClipHints(hints, linked, has_units=_has_units(p))


@dataclass(frozen=True)
class ClipHints:
    """Those of all networks; `has_units`: ControlNet's own script has some."""

    own: Sequence[Hint]
    linked: LinkedHints
    has_units: bool

    @property
    def has_networks(self) -> bool:
        """Whether a network acts beside the UNet, which takes the rows of one window a call: how it tells
        them apart is its own affair."""
        return self.has_units or self.linked.is_linked

    def show(self, window: Window, num_groups: int) -> None:
        """Let the networks read the window's frames, for each of the groups of a call."""
        for hint in (*self.own, *self.linked.hints):
            hint.show(window, num_groups)


def _has_units(p: Request) -> bool:
    script = find_script(p)
    return script is not None and bool(script.enabled_units)


class LinkedHints:
    """Those of networks that scripts link to the UNet's patcher, each time before something is sampled."""

    def __init__(self, p: Request, num_frames: int) -> None:
        self.hints: list[Hint] = []
        self.is_linked = False
        self._p, self._num_frames = p, num_frames

    @contextmanager
    def found(self) -> Generator[None, None, None]:
        """Inside, they are found when all scripts have had their say."""
        with when_patched(self._p, self._find):
            yield

    def _find(self, stack: ExitStack, patcher: UnetPatcher) -> None:
        defer(stack, patcher)
        self.hints = [*_layer_hints(patches_of(patcher), self._num_frames)]
        if is_deferred(patcher.controlnet_linked_list):
            networks = chain_of(patcher.controlnet_linked_list)
            self.hints += [LinkedHint(each, self._num_frames) for each in networks]
        self.is_linked = bool(self.hints) or patcher.controlnet_linked_list is not None
        for hint in self.hints:
            stack.callback(hint.put_back)


def _find_hints(p: Request, checkpoint: ImageModel | None, num_frames: int, looped: bool) -> list[Hint]:
    script = find_script(p)
    if script is None or not script.enabled_units:
        return []
    params = script.latest_network.control_params if script.latest_network is not None else None
    if params is None:
        raise UserError(
            "ControlNet could not prepare its units (the WebUI's log has its error): correct or disable them."
        )
    hints: list[Hint] = []
    for unit, prepared in zip(script.enabled_units, params, strict=False):
        _check_image_model(unit, prepared, checkpoint)
        hints += _hints_of(unit, prepared, num_frames, looped)
    return hints


def _check_image_model(unit: Unit, params: ControlParams, checkpoint: ImageModel | None) -> None:
    network: object = params.control_model
    found = detect_image_model(_shapes(network)) if isinstance(network, nn.Module) else None
    if found is not None and checkpoint is not None and found is not checkpoint:
        raise UserError(
            f"ControlNet's model {unit.model} is made for {found.name}, but the checkpoint is "
            f"{checkpoint.name}: choose another model, or another checkpoint."
        )


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Named as in the files of checkpoints."""
    prefix = "model.diffusion_model."
    return {prefix + name: tuple(each.shape) for name, each in network.named_parameters()}


def _hints_of(unit: Unit, params: ControlParams, num_frames: int, looped: bool) -> list[Hint]:
    """Those of one unit: its pictures, in both sizes, and what other kinds of networks keep of them."""
    model = params.control_model
    if hasattr(model, "image_emb") and unit.batch_image_files:
        rows = _frame_embeddings(unit, params, num_frames, looped)
        return [EmbeddingHint(model, model.image_emb, rows)]
    hints: list[Hint] = []
    for name in ("hint_cond", "hr_hint_cond"):
        value: object = getattr(params, name)
        if isinstance(value, torch.Tensor) and has_frames(value, num_frames):
            hints.append(PictureHint(params, name, value, num_frames))
    return [*hints, *_layer_hints([model], num_frames)]


def _layer_hints(models: Iterable[object], num_frames: int) -> list[LayerHint]:
    """Those of the models that are ControlLLLite's: they have layers by name."""
    hints: list[LayerHint] = []
    for model in models:
        layers = getattr(model, "modules", None)
        if not isinstance(layers, dict):
            continue
        for layer in cast("dict[str, LLLiteLayer]", layers).values():
            if has_frames(layer.cond_image, num_frames):
                hints.append(LayerHint(layer, layer.cond_image, num_frames))
    return hints


def has_frames(rows: torch.Tensor, num_frames: int) -> bool:
    """Whether the first axis is the clip's frames, once or once for each of prompt and negative prompt."""
    return num_frames > 1 and len(rows) in (num_frames, 2 * num_frames)


def window_rows(rows: torch.Tensor, num_frames: int, window: Window, num_groups: int) -> torch.Tensor:
    """The window's of `f ...`, as `(g l) ...`: the same for each group of a call."""
    chosen = rows[:num_frames][list(window.frames)]
    return chosen.repeat(num_groups, *[1] * (rows.ndim - 1))


class PictureHint:
    """The pictures `f c h w` of a unit; setting them lets ControlNet forget what it derived from others."""

    def __init__(self, params: ControlParams, name: str, whole: torch.Tensor, num_frames: int) -> None:
        self._params, self._name, self._whole, self._num_frames = params, name, whole, num_frames
        self._shown: tuple[tuple[int, ...], int] | None = None

    def show(self, window: Window, num_groups: int) -> None:
        if self._shown != (window.frames, num_groups):
            self._shown = window.frames, num_groups
            rows = window_rows(self._whole, self._num_frames, window, num_groups)
            setattr(self._params, self._name, rows)

    def put_back(self) -> None:
        setattr(self._params, self._name, self._whole)


@dataclass(frozen=True)
class LayerHint:
    """The pictures `f c h w` that a layer of ControlLLLite embeds."""

    layer: LLLiteLayer
    whole: torch.Tensor
    num_frames: int

    def show(self, window: Window, num_groups: int) -> None:
        self.layer.set_cond_image(window_rows(self.whole, self.num_frames, window, num_groups))

    def put_back(self) -> None:
        self.layer.set_cond_image(self.whole)


@dataclass(frozen=True)
class EmbeddingHint:
    """An IP-Adapter's embeddings `f t c`, of which ControlNet itself would take the mean."""

    adapter: IPAdapter
    before: ImageEmbed
    rows: torch.Tensor

    def show(self, window: Window, num_groups: int) -> None:
        rows = window_rows(self.rows, len(self.rows), window, num_groups)
        self._set(type(self.before)(rows, self.before.uncond_emb))

    def put_back(self) -> None:
        self._set(self.before)

    def _set(self, embedding: ImageEmbed) -> None:
        self.adapter.image_emb = embedding
        self.adapter.cache.clear()


def _frame_embeddings(unit: Unit, params: ControlParams, num_frames: int, looped: bool) -> torch.Tensor:
    """`f t c`: each picture's at its frame; between keyframes they are blended as prompts are."""
    encoder = cast("IPAdapter", params.control_model).ipadapter
    is_single = len(unit.batch_image_files) == 1
    outputs = [params.hint_cond] if is_single else cast("Sequence[object]", params.hint_cond)
    embeddings = torch.cat([encoder.get_image_emb(output).cond_emb for output in outputs])
    keyframes = unit.batch_keyframe_idx
    if keyframes is None:
        return embeddings
    return blend_keyframes(embeddings, keyframes, num_frames, looped=looped)
