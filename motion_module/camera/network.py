"""CameraCtrl's encoder of camera poses, and what it adds to a motion module (He et al., arXiv 2404.02101)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from motion_module.backends import AttentionBackends
from motion_module.camera.spec import LAYERS_PER_LEVEL, CameraSpec
from motion_module.control import UNCHANGED, MotionControl
from motion_module.errors import MotionModuleError
from motion_module.layers import Conv2d, Linear
from motion_module.network import TemporalBlock
from motion_module.picture_encoder import ResidualBlock, halved
from motion_module.pieces import Pieces
from motion_module.placeable import Placeable
from motion_module.runtime import Runtime
from motion_module.spec import MotionModuleSpec, Site

PIXELS = 8
"""On each side, that go into one place of the latents."""
RAY_CHANNELS = 6
MERGE = "temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.qkv_merge"
"""Below a site, what merges the camera's features into its temporal layer's tokens."""


class CameraEncoder(nn.Module):
    """Rays `f 6 (8 h) (8 w)` to the features of each level of the UNet, `f c h w` and smaller."""

    def __init__(self, spec: CameraSpec, runtime: Runtime) -> None:
        super().__init__()
        layout = MotionModuleSpec(num_attention_blocks=1, max_context_length=spec.num_positions)
        self.encoder_conv_in = Conv2d(RAY_CHANNELS * PIXELS**2, spec.widths[0], kernel_size=3)
        self._levels: list[list[tuple[ResidualBlock, TemporalBlock]]] = []
        before = spec.widths[0]
        for width in spec.widths:
            inputs = (before, *(width for _ in range(LAYERS_PER_LEVEL - 1)))
            self._levels.append(
                [(ResidualBlock(each, width), TemporalBlock(width, layout, runtime)) for each in inputs]
            )
            before = width
        self.encoder_down_conv_blocks = nn.ModuleList(
            nn.ModuleList(block for block, _ in level) for level in self._levels
        )
        self.encoder_down_attention_blocks = nn.ModuleList(
            nn.ModuleList(temporal for _, temporal in level) for level in self._levels
        )
        self.runtime = runtime

    def forward(self, rays: Tensor) -> list[Tensor]:
        dtype = self.encoder_conv_in.weight.dtype
        hidden = self.encoder_conv_in(F.pixel_unshuffle(rays, PIXELS).to(dtype))
        levels: list[Tensor] = []
        for level in self._levels:
            hidden = halved(hidden) if levels else hidden
            for block, temporal in level:
                hidden = self._attended(temporal, block(hidden))
            levels.append(hidden)
        return levels

    def _attended(self, temporal: TemporalBlock, hidden: Tensor) -> Tensor:
        """`f c h w` to the same, in its own place."""
        places = rearrange(hidden, "f c h w -> 1 f c (h w)")
        for piece in self.runtime.pieces.split(places):
            tokens = rearrange(piece, "b f c p -> f (b p) c").contiguous()
            piece.copy_(rearrange(temporal(tokens), "f (b p) c -> b f c p", b=1))
        return hidden


@dataclass(frozen=True)
class Encoded:
    """Features of one clip's frames or of several clips', `f (b h w) c` by level of these sizes, h and w."""

    frames: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    levels: tuple[Tensor, ...]

    def is_of(self, runtime: Runtime, level: int, like: Tensor) -> bool:
        """Whether these are the features that a layer is told now."""
        is_now = self.frames == runtime.window_frames and self.sizes[level] == runtime.size
        features = self.levels[level]
        return is_now and (features.device, features.dtype) == (like.device, like.dtype)


class CameraCtrl(Placeable):
    """What a file of CameraCtrl holds; without values until `loading` gives it some.

    Features are kept for the window that was last asked for: they are the same in all of its layers, and in
    all steps where there is but one.
    """

    def __init__(self, spec: CameraSpec, name: str = "") -> None:
        super().__init__()
        self.spec, self.name = spec, name
        self.runtime = Runtime(UNCHANGED, Pieces(), AttentionBackends())
        self.encoder = CameraEncoder(spec, self.runtime)
        for site, width in spec.sites():
            _put(self, f"{site.name}.{MERGE}", Linear(width, width))
        self._encoded: Encoded | None = None

    def merge_at(self, site: Site) -> nn.Module:
        """The linear layer of a site."""
        return self.get_submodule(f"{site.name}.{MERGE}")

    def running_parts(self) -> list[nn.Module]:
        """The encoder, and what merges its features."""
        return [self.encoder, *(self.merge_at(site) for site, _ in self.spec.sites())]

    def forget(self) -> None:
        """Free what was kept of a window."""
        self._encoded = None

    def merged(self, merge: nn.Module, level: int, tokens: Tensor, runtime: Runtime) -> Tensor:
        """Tokens `f r c` of an attention, told of the camera: h becomes merge(h + feature) + h.

        `runtime` says which frames and rows they are.
        """
        features = self._features(level, tokens, runtime)
        rows = torch.arange(tokens.shape[1], device=tokens.device) + (runtime.rows.start or 0)
        seen = features[list(runtime.places)] if runtime.places else features
        merge = merge if _is_beside(merge, tokens) else merge.to(tokens.device, tokens.dtype)
        return merge(tokens + seen[:, rows % features.shape[1]]) + tokens

    def _features(self, level: int, like: Tensor, runtime: Runtime) -> Tensor:
        """Those of a level, for the frames of the window, or of several that go through the UNet at once."""
        if self._encoded is None or not self._encoded.is_of(runtime, level, like):
            self._encoded = self._encode(level, like, runtime)
        return self._encoded.levels[level]

    def _encode(self, level: int, like: Tensor, runtime: Runtime) -> Encoded:
        length, control = runtime.window_length, runtime.control
        if control.cameras is None:
            raise MotionModuleError(f"{self.name} follows a camera, but there is none: give one.")
        if control.frames_at_once(length) > self.spec.num_positions:
            raise MotionModuleError(
                f"{self.name or self.spec.family} follows 1 to {self.spec.num_positions} frames at once, not "
                f"{control.frames_at_once(length)}: lower the context batch size."
            )
        if not _is_beside(self.encoder, like):
            self.encoder.to(like.device, like.dtype)
        height, width = (PIXELS * (side << level) for side in runtime.size)
        clips: list[list[Tensor]] = []
        for start in range(0, len(runtime.window_frames), length):
            rays = control.cameras.of(range(start, start + length)).rays(height, width, like.device)
            with self.runtime.frames(length, tuple(range(length)), MotionControl(views=control.views)):
                clips.append(self.encoder(rays))
        sizes = tuple((each.shape[2], each.shape[3]) for each in clips[0])
        levels = (torch.stack(each) for each in zip(*clips, strict=True))
        features = tuple(rearrange(each, "b f c h w -> f (b h w) c") for each in levels)
        return Encoded(runtime.window_frames, sizes, features)


def _put(module: nn.Module, path: str, layer: nn.Module) -> None:
    """Let a layer be found below a module by its path."""
    *folders, name = path.split(".")
    for folder in folders:
        if folder not in module._modules:  # pyright: ignore[reportPrivateUsage]: torch tells it in no other way
            module.add_module(folder, nn.Module())
        module = module.get_submodule(folder)
    module.add_module(name, layer)


def _is_beside(layer: nn.Module, tensor: Tensor) -> bool:
    weight = next(layer.parameters())
    return weight.device == tensor.device and weight.dtype == tensor.dtype
