"""What stands in for a pipeline's UNet: whole clips in, the real UNet called window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import torch
from torch import nn

from animatediff_webui.core.window_batches import WindowBatches
from animatediff_webui.core.windowed import predict_windows, read_layout, scaled_guidance
from animatediff_webui.core.windows import Window

from .guides.residuals import Guide, UNetCall, sum_residuals
from .pipelines import UNetConfig
from .results import check_finite

if TYPE_CHECKING:
    from animatediff_webui.core.plan import Plan
    from animatediff_webui.motion_control import Ensemble

    from .denoising import Denoiser
    from .guides.ip_adapter import ImagePrompts
    from .prompts import Conditioning

BeforeWindow: TypeAlias = Callable[[int, int, int, "torch.Tensor | None"], None]
"""Called with the step, the windows done, how many there are, and the clip without noise, if it is known."""
T = TypeVar("T")
FINITE_ADVICE = (
    "the motion module, the checkpoint or a LoRA is damaged, or overflows in half precision: use the number "
    "format float32, or get the files again"
)


class WindowedUNet:
    """Called like diffusers' UNet2DConditionModel, with a batch of whole clips on the CPU.

    What the rows are told is looked up here, window by window, so that embeddings of all frames never exist
    at once: pipelines put the negative prompt's rows first where they guide, and else have the prompt's only.
    """

    dtype = torch.float32
    """Of what the pipeline computes; the real UNet may have another."""

    def __init__(
        self,
        unet: nn.Module,
        ensemble: Ensemble | None,
        plan: Plan,
        conditionings: Sequence[Conditioning],
        *,
        guides: Sequence[Guide] = (),
        image_prompts: ImagePrompts | None = None,
        guidance: Callable[[float], float],
        denoiser: Denoiser,
        before_window: BeforeWindow,
        batches: WindowBatches,
        device: torch.device,
    ) -> None:
        """`conditionings`: of the prompt and of the negative prompt; `device` is where the UNet runs.

        `batches` says how many windows go through it together.

        `ensemble` are the motion modules, `guides` the networks beside the UNet, `image_prompts` what
        pictures say to it, `guidance` how many times the pipeline's scale guides where a share of sampling is
        done.
        """
        self._unet, self._ensemble, self._plan = unet, ensemble, plan
        self._positive, self._negative = conditionings
        self._guides, self._image_prompts = guides, image_prompts
        self._denoiser, self._before_window, self._device = denoiser, before_window, device
        self._guidance, self._batches = guidance, batches
        self._weights_dtype = next(unet.parameters()).dtype
        self.step, self.num_steps = 0, 1
        self.denoised: torch.Tensor | None = None

    @property
    def share(self) -> float:
        """How much of sampling is done, from 0 to 1."""
        return self.step / self.num_steps

    @property
    def config(self) -> UNetConfig:
        """What pipelines ask of a UNet, like the next one."""
        return cast("UNetConfig", self._unet.config)

    @property
    def add_embedding(self) -> nn.Module:
        """SDXL's embedding of size and crop, whose width the pipeline reads."""
        return self._unet.get_submodule("add_embedding")

    def __call__(
        self, sample: torch.Tensor, timestep: torch.Tensor, **arguments: object
    ) -> tuple[torch.Tensor]:
        """The fused prediction for `sample` `(g f) c h w`; `arguments` are the pipeline's others, by row."""
        layout = read_layout(len(sample), self._plan.num_frames)
        guided = layout.num_groups > 1
        groups = [self._negative, self._positive] if guided else [self._positive]

        def call(rows: Mapping[str, object], window: Window) -> torch.Tensor:
            return self._predict(rows, window, timestep, groups)

        prediction = predict_windows(
            call,
            {**arguments, "sample": sample},
            layout,
            self._plan.windows(self.step, self.share),
            lambda done, total: self._before_window(self.step, done, total, self.denoised),
            batches=self._batches,
            device=sample.device,
        ).to(sample.dtype)
        if guided:
            negative, prompt = slice(0, self._plan.num_frames), slice(self._plan.num_frames, None)
            prediction = scaled_guidance(prediction, self._guidance(self.share), prompt, negative)
        check_finite(prediction, f"In step {self.step + 1} the model predicted numbers", FINITE_ADVICE)
        self.denoised = self._denoiser.denoise(sample, prediction, timestep)
        return (prediction,)

    def _predict(
        self,
        rows: Mapping[str, object],
        window: Window,
        timestep: torch.Tensor,
        groups: Sequence[Conditioning],
    ) -> torch.Tensor:
        """The real UNet's prediction for a window's rows."""
        moved = dict(self._moved(rows))
        told = [group.at(window.frames) for group in groups]
        moved["encoder_hidden_states"] = self._moved(torch.cat([tokens for tokens, _ in told]))
        pooled = [each for _, each in told if each is not None]
        if pooled:
            added = cast("Mapping[str, object]", moved["added_cond_kwargs"])
            moved["added_cond_kwargs"] = {**added, "text_embeds": self._moved(torch.cat(pooled))}
        moved |= self._residuals(moved, window, timestep)
        moved |= self._images(moved, window, len(groups))
        with ExitStack() as stack:
            if self._ensemble is not None:
                stack.enter_context(self._ensemble.frames(window, self.share))
            return cast("torch.Tensor", self._unet(timestep=timestep, **{**moved, "return_dict": False})[0])

    def _residuals(
        self, rows: Mapping[str, object], window: Window, timestep: torch.Tensor
    ) -> Mapping[str, object]:
        """What networks beside the UNet add to a window's call."""
        if not self._guides:
            return {}
        call = UNetCall(
            sample=cast("torch.Tensor", rows["sample"]),
            timestep=timestep,
            context=cast("torch.Tensor", rows["encoder_hidden_states"]),
            added=cast("Mapping[str, torch.Tensor] | None", rows.get("added_cond_kwargs")),
            frames=window.frames,
        )
        return sum_residuals(self._guides, call, self.step, self.num_steps)

    def _images(self, rows: Mapping[str, object], window: Window, num_groups: int) -> Mapping[str, object]:
        """What pictures say to a window's call."""
        if self._image_prompts is None or not self._image_prompts.prompts:
            return {}
        self._image_prompts.tell(self._unet, self.step, self.num_steps)
        told = [self._moved(each.rows(window.frames, num_groups)) for each in self._image_prompts.prompts]
        added = cast("Mapping[str, object] | None", rows.get("added_cond_kwargs")) or {}
        return {"added_cond_kwargs": {**added, "image_embeds": told}}

    def _moved(self, value: T) -> T:
        """`value`, and what is in it, where the UNet is, and in its number format."""
        if isinstance(value, Mapping):
            items = cast("Mapping[str, object]", value).items()
            return cast("T", {key: self._moved(item) for key, item in items})
        if isinstance(value, torch.Tensor):
            dtype = self._weights_dtype if value.is_floating_point() else value.dtype
            return cast("T", value.to(self._device, dtype))
        return value
