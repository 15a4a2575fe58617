"""SDXL: two text encoders, a pooled vector, sizes; all by frame."""

from __future__ import annotations

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from animatediff_webui.core.noise import frame_noise, frame_seeds
from motion_module import IncompatibleBaseModelError
from standalone import Animator
from tests.hosts.diffusers.stand_in import XL_SPEC, write_module, write_xl_checkpoint

SETTINGS = {"seed": 1, "steps": 2, "video_length": 6, "batch_size": 6}


@pytest.fixture(scope="module")
def xl_checkpoint(tmp_path_factory):
    return write_xl_checkpoint(tmp_path_factory.mktemp("xl"))


@pytest.fixture(scope="module")
def still(xl_checkpoint) -> Animator:
    return Animator(checkpoint=xl_checkpoint, motion_module="none")


def test_prompts_travel_in_both_embeddings_and_the_pooled_vector(still):
    travel = still.generate("0: red\n4: blue", **SETTINGS, prompt_easing="hold")
    red, blue = (still.generate(text, **SETTINGS) for text in ("red", "blue"))
    assert torch.equal(travel.latents[:4], red.latents[:4])
    assert torch.equal(travel.latents[4:], blue.latents[4:])


def test_generate_agrees_with_the_plain_pipeline_frame_by_frame(still):
    clip = still.generate("a circle", negative_prompt="blue", beta_schedule="checkpoint", **SETTINGS)
    config = still.pipeline.scheduler.config
    scheduler = DPMSolverMultistepScheduler.from_config(config, timestep_spacing="linspace")
    parts = {**still.pipeline.components, "scheduler": scheduler}
    plain = type(still.pipeline)(**parts, add_watermarker=False)
    plain.set_progress_bar_config(disable=True)
    latents = plain(
        ["a circle"] * 6, negative_prompt=["blue"] * 6, num_inference_steps=2, guidance_scale=7.0,
        latents=frame_noise(frame_seeds(1, 6), (4, 8, 8)), width=64, height=64, output_type="latent",
    ).images  # fmt: skip
    torch.testing.assert_close(clip.latents, latents, atol=1e-3, rtol=1e-3)


def test_a_module_moves_and_windows_fuse(xl_checkpoint, tmp_path):
    module = write_module(tmp_path / "xl.safetensors", XL_SPEC)
    animator = Animator(checkpoint=xl_checkpoint, motion_module=module)
    clip = animator.generate("a circle", seed=1, steps=2, video_length=10, batch_size=4)
    assert clip.latents.shape[0] == 10
    assert torch.isfinite(clip.latents).all()


def test_a_module_for_the_other_base_model_is_refused(xl_checkpoint, checkpoint, module_file, tmp_path):
    xl_module = write_module(tmp_path / "xl.safetensors", XL_SPEC)
    for model, module in ((xl_checkpoint, module_file), (checkpoint, xl_module)):
        with pytest.raises(IncompatibleBaseModelError, match=r"SD1\.5.*SDXL|SDXL.*SD1\.5"):
            Animator(checkpoint=model, motion_module=module).generate("a", **SETTINGS)
