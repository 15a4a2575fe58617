"""GroupNorm across the frames of a clip, as AnimateDiff v1 and HotShot-XL were trained with in the UNet."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

from einops import rearrange
from torch import Tensor, nn

from motion_module.module import MotionModule
from motion_module.unets import check_fit, describe_unet

PreHook = Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]
Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]


@contextmanager
def video_group_norms(unet: nn.Module, module: MotionModule) -> Generator[None]:
    """Inside, the norms of the UNet's residual blocks and of its end see (c/32, f, h, w) of a clip at once.

    Does nothing where `module.spec.video_group_norm` is false. The norms inside transformers stay per frame.
    """
    with ExitStack() as hooks:
        if module.spec.video_group_norm:
            layout = describe_unet(unet)
            check_fit(layout, module.spec, module.name)
            into_clips, into_frames = _build_hooks(module)
            for norm in layout.group_norms:
                # Next to the norm itself, so that a neighbour's hooks keep seeing frames.
                hooks.callback(norm.register_forward_pre_hook(into_clips).remove)
                hooks.callback(norm.register_forward_hook(into_frames, prepend=True).remove)
        yield


def _build_hooks(module: MotionModule) -> tuple[PreHook, Hook]:
    """GroupNorm reduces over all axes after the channels: `b c f h w` is all it takes."""

    def into_clips(_norm: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, *rest = args
        num_frames = module.runtime.count_frames(hidden)
        return (rearrange(hidden, "(b f) c h w -> b c f h w", f=num_frames), *rest)

    def into_frames(_norm: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return rearrange(output, "b c f h w -> (b f) c h w")

    return into_clips, into_frames
