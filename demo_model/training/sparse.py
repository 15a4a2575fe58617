"""Stage 7: a SparseCtrl, "rgb": pictures for some of a clip's frames say what is there, and where.

Everything else stays frozen. First stills whose own picture is given; then clips of which the first frame's
is given, or another's, or two frames'. Captions say the motion, and mostly nothing else, so that the picture
decides colours, shape and place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import SparseControlNetModel, UNet2DConditionModel
from einops import rearrange, repeat
from torch import nn
from torch.nn.functional import cross_entropy

from demo_model import world
from motion_module.injection import injected
from motion_module.module import MotionModule

from .diffusion import alphas_cumprod, v_loss
from .image import draw_timesteps, save_average
from .motion import Clips, Frozen, Stage, at_positions, draw_clips, pick_frames
from .optimizer import Trainer
from .run import Journal, seeded
from .text import NUM_CLASSES, WIDTH, describe

ENDS = ("sparsectrl.conv_in", "sparsectrl.time_emb", "sparsectrl.controlnet_cond_embedding", "probe")
PROBED = 0.05


def build_sparsectrl(unet: UNet2DConditionModel | None = None) -> SparseControlNetModel:
    """The UNet's way down with attention between frames instead of to the text; begins with its weights.

    At first, frames know nothing of each other, as in a new motion module, and pictures are looked at as the
    UNet looks at what it is to denoise.
    """
    network = SparseControlNetModel(
        conditioning_channels=4,
        down_block_types=("DownBlockMotion",) * 4,
        block_out_channels=(32, 64, 96, 96),
        norm_num_groups=8,
        attention_head_dim=4,
        cross_attention_dim=WIDTH,
    )
    for name, weight in network.named_parameters():
        if "motion_modules" in name and ".proj_out." in name:
            nn.init.zeros_(weight)
    if unet is not None:
        own = network.state_dict()
        copied = {name: weight for name, weight in unet.state_dict().items() if name in own}
        network.load_state_dict(copied, strict=False)
        entrance = cast("nn.Conv2d", network.controlnet_cond_embedding)
        entrance.weight.data[:, :4] = unet.conv_in.weight
    return network


@dataclass(frozen=True)
class Given:
    """Pictures for some frames: latents `b c f h w`, zero where there is none, and a mask `b 1 f h w`."""

    latents: torch.Tensor
    mask: torch.Tensor

    def spread(self, frames: np.ndarray) -> Given:
        """The same pictures in the whole clip, these being its `frames`."""
        return Given(_spread(self.latents, frames), _spread(self.mask, frames))


def _spread(some: torch.Tensor, frames: np.ndarray) -> torch.Tensor:
    batch, channels, _, height, width = some.shape
    whole = some.new_zeros(batch, channels, world.NUM_FRAMES, height, width)
    whole[:, :, torch.from_numpy(frames)] = some
    return whole


def give_pictures(rng: np.random.Generator, clips: torch.Tensor) -> Given:
    """Of latents `b f c h w` mostly the first frame, else another one, or two; a still is given itself."""
    batch, num_frames = clips.shape[:2]
    mask = torch.zeros(batch, 1, num_frames, *clips.shape[3:])
    for row in range(batch):
        kind = rng.random()
        first = 0 if kind < 0.7 else int(rng.integers(num_frames))
        mask[row, :, first] = 1
        if kind > 0.85:
            mask[row, :, int(rng.integers(num_frames))] = 1
    return Given(rearrange(clips, "b f c h w -> b c f h w") * mask, mask)


def look_at_pictures(
    network: SparseControlNetModel, timesteps: torch.Tensor, context: torch.Tensor, given: Given
) -> list[torch.Tensor]:
    """What the network adds to the UNet's way down, and last to its middle: each `b f c h w`.

    `context` is (b, n, c). What is denoised is nothing to the network.
    """
    batch, _, frames, height, width = given.mask.shape
    down, middle = network(
        torch.zeros(batch, 4, frames, height, width),
        timesteps,
        repeat(context, "b n c -> (b f) n c", f=frames),
        given.latents,
        conditioning_mask=given.mask,
        return_dict=False,
    )
    return [rearrange(each, "(b f) c h w -> b f c h w", f=frames) for each in (*down, middle)]


def predict_from_pictures(
    frozen: Frozen,
    network: SparseControlNetModel,
    noisy: torch.Tensor,
    timesteps: torch.Tensor,
    captions: list[str],
    given: Given,
    frames: np.ndarray,
) -> torch.Tensor:
    """The UNet's prediction b f c h w for the noisy `frames` b f c h w of clips with the given pictures.

    The network sees the whole clip, as later: attention that was learned over a few frames is lost in many.
    """
    context = frozen.encoder.encode(captions)
    if len(frames) == 1:
        added = look_at_pictures(network, timesteps, context, given)
    else:
        whole = look_at_pictures(network, timesteps, context, given.spread(frames))
        added = [each[:, torch.from_numpy(frames)] for each in whole]
    residuals = [rearrange(each, "b f c h w -> (b f) c h w") for each in added]
    return frozen.predict(noisy, timesteps, context, residuals)


def sparse_loss(
    frozen: Frozen,
    module: MotionModule,
    network: SparseControlNetModel,
    clips: Clips,
    given: Given,
    frames: np.ndarray,
    timesteps: torch.Tensor,
) -> torch.Tensor:
    """The v loss at `timesteps` (b,) of AnimateDiff's linear schedule; stills, without the motion module."""

    def predict(noisy: torch.Tensor) -> torch.Tensor:
        return predict_from_pictures(frozen, network, noisy, timesteps, clips.captions, given, frames)

    alpha_cumprod = alphas_cumprod("linear")[timesteps]
    if len(frames) == 1:
        return v_loss(clips.latents, alpha_cumprod, predict)
    with (
        at_positions(module, frames),
        module.frames(len(frames)),
        injected(frozen.unet, module),
    ):
        return v_loss(clips.latents, alpha_cumprod, predict)


def tell_less(clips: Clips, rng: np.random.Generator) -> Clips:
    """The same clips, but two thirds of the captions are without colours and shape."""
    told = [_motion_alone(caption) if rng.random() < 2 / 3 else caption for caption in clips.captions]
    return replace(clips, captions=told)


def _motion_alone(caption: str) -> str:
    phrases = [phrase for phrases in world.MOTION_PHRASES.values() for phrase in phrases if phrase in caption]
    return max(phrases, key=len, default="")


class PictureProbe(nn.Module):
    """Linear probes for colour, shape and background from the last features of every frame.

    The prediction's error alone takes long to say that frames without a picture look like the one with it.
    """

    def __init__(self, network: SparseControlNetModel) -> None:
        super().__init__()
        self.features: list[torch.Tensor] = []
        last = [network.controlnet_down_blocks[-4], network.controlnet_mid_block]
        self.heads = nn.ModuleList(nn.Linear(96, sum(NUM_CLASSES)) for _ in last)
        self.hooks = [module.register_forward_pre_hook(self._keep) for module in last]

    def _keep(self, _module: nn.Module, arguments: tuple[torch.Tensor]) -> None:
        self.features.append(arguments[0].float().mean((2, 3)))

    def loss(self, scenes: Sequence[world.Scene]) -> torch.Tensor:
        """The mean cross-entropy of the last forward pass, over all frames."""
        shown = [describe(replace(scene, background=scene.shown_background)) for scene in scenes]
        num_frames = len(self.features[0]) // len(scenes)
        labels = repeat(torch.tensor(shown), "b n -> (b f) n", f=num_frames)
        errors: list[torch.Tensor] = []
        for head, features in zip(self.heads, self.features, strict=True):
            logits = head(features).split(NUM_CLASSES, -1)
            errors += [cross_entropy(logits[index], labels[:, index]) for index in range(3)]
        self.features.clear()
        return torch.stack(errors).mean()


def train_sparsectrl(
    folder: Path,
    module: MotionModule,
    stages: Sequence[Stage],
    *,
    rate: float,
    seed: int,
    resume: bool = False,
) -> None:
    """Train the SparseCtrl in stages into folder/sparsectrl/rgb; `rate` is Muon's at the start.

    A stage of one frame is about stills, without the motion module.
    """
    rng, journal = seeded(seed), Journal("sparsectrl")
    frozen = Frozen.load(folder)
    module.requires_grad_(False)
    save = folder / "sparsectrl" / "rgb"
    network = SparseControlNetModel.from_pretrained(save) if resume else build_sparsectrl(frozen.unet)
    probe = PictureProbe(network)
    both = nn.ModuleDict({"sparsectrl": network, "probe": probe})
    num_steps = sum(stage.steps for stage in stages)
    trainer = Trainer(both, num_steps, muon=rate, adam=rate / 8, first=ENDS)
    for stage in stages:
        for _ in range(stage.steps):
            frames = pick_frames(rng, stage.num_frames)
            if len(frames) > 1:
                frames[0] = 0
            clips = draw_clips(rng, frozen.code, stage.batch, frames, stage.motions)
            timesteps = draw_timesteps(stage.batch, high=stage.high, first_high=stage.first_high)
            given = give_pictures(rng, clips.latents)
            loss = sparse_loss(frozen, module, network, tell_less(clips, rng), given, frames, timesteps)
            probed = probe.loss(clips.scenes)
            trainer.step(loss + PROBED * probed)
            journal.note(loss=loss, probe=probed)
            if trainer.done % 100 == 0 or trainer.done == num_steps:
                save_average(trainer.averaged("sparsectrl."), build_sparsectrl(), save)
