"""A motion module: the temporal layers of every site of one UNet."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from motion_module.backends import AttentionBackends
from motion_module.control import UNCHANGED, MotionControl
from motion_module.errors import MotionModuleError
from motion_module.layers import Layer
from motion_module.network import MotionLayer
from motion_module.picture_encoder import PictureEncoder
from motion_module.picture_input import PictureInput
from motion_module.pieces import Pieces
from motion_module.placeable import Placeable
from motion_module.runtime import Runtime
from motion_module.spec import MotionModuleSpec, Site


class MotionBlock(nn.Module):
    """The temporal layers of one block of a UNet."""

    def __init__(self, channels: int, num_layers: int, spec: MotionModuleSpec, runtime: Runtime) -> None:
        super().__init__()
        self.motion_modules = nn.ModuleList(MotionLayer(channels, spec, runtime) for _ in range(num_layers))


class MotionModule(Placeable):
    """The temporal layers of a UNet; `state_dict()` has the official names.

    Built from a spec alone it has fresh weights, which training starts from, and adds nothing yet.
    fresh=False leaves the parameters without values, on the meta device, for `loading` to fill.
    """

    def __init__(self, spec: MotionModuleSpec, name: str = "", *, fresh: bool = True) -> None:
        super().__init__()
        self.spec = spec
        self.name = name
        self.runtime = Runtime(UNCHANGED, Pieces(), AttentionBackends())
        if spec.conv_in_channels:
            self.conv_in = PictureInput(spec.conv_in_channels, spec.widths[0], self.runtime)
        if spec.has_picture_encoder:
            self.img_encoder = PictureEncoder(spec.widths, self.runtime)
        layers, widths = spec.layers_per_block, spec.widths
        self.down_blocks = nn.ModuleList(MotionBlock(width, layers, spec, self.runtime) for width in widths)
        if spec.has_mid_block:
            self.mid_block = MotionBlock(widths[-1], 1, spec, self.runtime)
        if spec.has_up_blocks:
            self.up_blocks = nn.ModuleList(
                MotionBlock(width, layers + 1, spec, self.runtime) for width in reversed(widths)
            )
        if fresh:
            for layer in self.modules():
                if isinstance(layer, Layer):
                    layer.fill_fresh()

    def layers(self) -> dict[Site, nn.Module]:
        """The temporal layer of each site."""
        return {site: self.get_submodule(site.name) for site, _ in self.spec.sites()}

    @property
    def picture_input(self) -> PictureInput | None:
        """What takes the place of the UNet's first convolution, where there is such a thing."""
        return self.conv_in if self.spec.conv_in_channels else None

    def running_parts(self) -> list[nn.Module]:
        """What the UNet's submodules are continued with."""
        parts: list[nn.Module] = [] if self.picture_input is None else [self.picture_input]
        if self.spec.has_picture_encoder:
            parts.append(self.img_encoder)
        return [*parts, *self.layers().values()]

    def forget(self) -> None:
        """Free what was kept of a window for the next ones."""
        self.runtime.kept = {}

    def picture_at(self, site: Site, hidden: Tensor) -> Tensor | None:
        """What the layer of a site is shown of the picture, beside its hidden states `(b f) c h w`."""
        is_last = site.block == "down_blocks" and site.layer == self.spec.layers_per_block - 1
        if not self.spec.has_picture_encoder or not is_last or self.runtime.control.is_idle:
            return None
        return self.img_encoder.at(site.level, hidden)

    @contextmanager
    def frames(
        self, num_frames: int, indices: Sequence[int] | None = None, control: MotionControl = UNCHANGED
    ) -> Generator[None]:
        """Inside, a batch's rows are `(b f)` with f = num_frames.

        indices: which frames of the animation those are (from 0 on, if not given); what changes from frame to
        frame, such as a motion LoRA's strength, goes by them. Where clips are of different frames: those of
        each clip, one after the other, which the batch has any number of times. control: how strongly the
        module acts, over all frames of the animation. Position encodings count from a clip's first row.
        """
        if not 1 <= control.frames_at_once(num_frames) <= self.spec.max_context_length:
            raise MotionModuleError(
                f"{self.name or self.spec.family} animates 1 to {self.spec.max_context_length} frames at "
                f"once, not {control.frames_at_once(num_frames)}: lower the context batch size."
            )
        rows = tuple(range(num_frames)) if indices is None else tuple(indices)
        if not rows or len(rows) % num_frames:
            raise MotionModuleError(
                f"{len(rows)} frame indices were given for {num_frames} frames: give one for each, or those "
                "of several clips."
            )
        with self.runtime.frames(num_frames, rows, control):
            yield
