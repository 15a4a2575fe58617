"""Tell a motion module how a camera moves."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import cast

from motion_module.camera.network import CameraCtrl
from motion_module.errors import IncompatibleBaseModelError
from motion_module.module import MotionModule
from motion_module.network import TemporalAttention

ATTENTION = "temporal_transformer.transformer_blocks.0.attention_blocks.0"


def check_fits(camera: CameraCtrl, module: MotionModule) -> None:
    """IncompatibleBaseModelError where CameraCtrl was made for other layers than the motion module's."""
    layers = dict(module.spec.sites())
    if any(layers.get(site) != width for site, width in camera.spec.sites()):
        base_model = camera.spec.base_model
        raise IncompatibleBaseModelError(
            f"{camera.name or camera.spec.family} ({camera.spec.family}) is for "
            f"{base_model.value if base_model else 'other'} motion modules of "
            f"{', '.join(map(str, camera.spec.widths))} channels, but {module.name or module.spec.family} is "
            f"for {module.spec.base_model.value} and has {', '.join(map(str, module.spec.widths))}: use it "
            f"with the motion module that it was made for, {camera.spec.made_for}."
        )


@contextmanager
def camera_merged(module: MotionModule, camera: CameraCtrl) -> Generator[None]:
    """Inside, the motion module is told of the cameras of its control, which must be there."""
    check_fits(camera, module)
    with ExitStack() as stack:
        stack.callback(camera.forget)
        for site, _ in camera.spec.sites():
            attention = cast("TemporalAttention", module.get_submodule(f"{site.name}.{ATTENTION}"))
            merge = partial(
                camera.merged, camera.merge_at(site), camera.spec.level_of(site), runtime=module.runtime
            )
            attention.merges.append(merge)
            stack.callback(attention.merges.remove, merge)
        yield
