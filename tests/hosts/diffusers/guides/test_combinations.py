"""Networks that steer a clip, beside everything else that a clip can be: number formats, loops, noise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from standalone import Animator, ControlNet, IpAdapter, SparseCtrl
from tests.hosts.diffusers.guides.networks import fresh_controlnet, fresh_sparsectrl, write_ip_adapter
from tests.media.clips import frame

QUICK = {"seed": 1, "steps": 2, "sampler_name": "DDIM", "cfg_scale": 3.0, "batch_size": 4}
PICTURE, OTHER = frame(1, (64, 64)), frame(3, (64, 64))


@pytest.fixture(scope="module")
def files(animator, tmp_path_factory) -> Path:
    folder, unet = tmp_path_factory.mktemp("networks"), animator.pipeline.unet
    fresh_controlnet(unet).save_pretrained(folder / "control")
    fresh_sparsectrl(unet).save_pretrained(folder / "sparse")
    (folder / "ip").mkdir()
    write_ip_adapter(unet, folder / "ip")
    return folder


@pytest.fixture(scope="module")
def networks(files):
    """One of each kind, as keywords."""
    adapter = files / "ip" / "ip-adapter.safetensors"
    return {
        "controlnet": ControlNet(files / "control", image=PICTURE),
        "sparsectrl": SparseCtrl(files / "sparse", keyframes={0: PICTURE, 3: OTHER}),
        "ip_adapter": IpAdapter(adapter, images={0: PICTURE, 3: OTHER}),
    }


@pytest.mark.parametrize(("dtype", "rounding"), [("float16", 0.02), ("bfloat16", 0.1)])
def test_networks_run_in_the_number_format_of_the_checkpoint(
    dtype, rounding, networks, still_animator, checkpoint
):
    half = Animator(checkpoint=checkpoint, motion_module="none", dtype=dtype)
    for keyword, network in networks.items():
        expected, found = (
            each.generate("a circle", video_length=4, **{**QUICK, "steps": 1}, **{keyword: network}).latents
            for each in (still_animator, half)
        )
        assert (found - expected).std() < rounding * expected.std(), keyword


WAYS = {
    "loop": {"closed_loop": "A"}, "seamless": {"closed_loop": "Seamless"},
    "FreeInit": {"freeinit_enable": True, "freeinit_iters": 2}, "no FreeNoise": {"freenoise": False},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_networks_go_with_loops_and_noise_in_several_windows(way, networks, animator):
    long = {**QUICK, "video_length": 6, "steps": 1, **WAYS[way]}
    plain = animator.generate("a circle", **long).latents
    for keyword, network in networks.items():
        steered = animator.generate("a circle", **long, **{keyword: network}).latents
        assert torch.isfinite(steered).all()
        assert not torch.allclose(steered, plain, atol=1e-2), keyword
