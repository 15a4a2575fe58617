"""Windows that go through the UNet together make the clip that they make one by one, with whatever else."""

from __future__ import annotations

import pytest
import torch

from standalone import Animator, ControlNet, IpAdapter, SparseCtrl
from tests.hosts.diffusers.guides.networks import fresh_controlnet, fresh_sparsectrl, write_ip_adapter
from tests.media.clips import frame

LONG = {
    "seed": 3, "steps": 2, "video_length": 10, "batch_size": 4, "overlap": 1, "width": 64, "height": 64,
}  # fmt: skip
MILD = {"sampler_name": "DDIM", "cfg_scale": 3.0}
PROMPT = "a circle\n0: red\n9: blue"


@pytest.fixture(scope="module")
def exact(checkpoint, module_file):
    """A model whose rounding does not show: this small, it makes much of little."""
    animator = Animator(checkpoint=checkpoint, motion_module=module_file)
    for network in (animator.pipeline.unet, animator.module):
        network.double()
    return animator


def rows_of_calls(animator, **settings):
    """The clip, and how many rows each call of the UNet had."""
    rows: list[int] = []
    hook = animator.pipeline.unet.conv_in.register_forward_hook(
        lambda _module, args, _output: rows.append(len(args[0]))
    )
    try:
        return animator.generate(PROMPT, **{**LONG, **settings}).latents, rows
    finally:
        hook.remove()


@pytest.mark.parametrize(
    "settings",
    [
        {"closed_loop": "A", "stride": 2, "negative_prompt": "0: green\n5: grey"},
        {"closed_loop": "N", "context_scheduler": "batched", "video_length": 11},
        {"motion_scale": "0: 0.5, 9: 2", "motion_effect": "0: 1, 9: 0.2", "effect_schedule": "0: 1, 1: 0.5"},
        {"view_length": 3, "cfg_schedule": "0: 7, 1: 3"},
        {"cfg_scale": 1.0, "context_scheduler": "standard static"},
    ],
    ids=str,
)
def test_clip_is_the_same_with_fewer_calls(exact, settings):
    alone, rows = rows_of_calls(exact, window_batch=1, **settings)
    together, fewer = rows_of_calls(exact, window_batch=3, **settings)
    assert len(fewer) < len(rows)
    assert sum(fewer) == sum(rows)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_by_itself_one_window_goes_at_a_time_on_a_cpu(animator):
    alone, rows = rows_of_calls(animator, window_batch=1)
    automatic, as_many = rows_of_calls(animator)
    assert as_many == rows
    assert automatic.equal(alone)


def test_networks_that_say_something_of_each_frame_go_with_it(animator, tmp_path):
    unet = animator.pipeline.unet
    fresh_controlnet(unet).save_pretrained(tmp_path / "controlnet")
    for index in range(10):
        (tmp_path / "frames").mkdir(exist_ok=True)
        frame(index, (64, 64)).save(tmp_path / "frames" / f"{index}.png")
    guides = {
        "controlnet": ControlNet(tmp_path / "controlnet", video=tmp_path / "frames"),
        "ip_adapter": IpAdapter(write_ip_adapter(unet, tmp_path), images={0: frame(0), 9: frame(3)}),
    }
    alone, rows = rows_of_calls(animator, window_batch=1, **guides, **MILD)
    together, fewer = rows_of_calls(animator, window_batch=2, **guides, **MILD)
    assert len(fewer) < len(rows)
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


def test_where_windows_depend_on_each_other_or_on_the_whole_one_they_go_one_by_one(animator, tmp_path):
    fresh_sparsectrl(animator.pipeline.unet).save_pretrained(tmp_path)
    sparse = SparseCtrl(tmp_path, keyframes={4: frame(0, (64, 64))})
    for settings in ({"reference": 1.0}, {"sparsectrl": sparse}):
        alone, rows = rows_of_calls(animator, window_batch=1, **settings)
        asked, same = rows_of_calls(animator, window_batch=2, **settings)
        assert same == rows
        assert asked.equal(alone)


def test_progress_counts_each_window_and_a_stop_ends_between_calls(animator):
    seen: list[int] = []

    def listen(session, _denoised):
        seen.append(session.windows_begun)
        if len(seen) == 4:
            session.stop()

    clip = animator.generate("a circle", **LONG, window_batch=2, on_window=listen)
    assert seen == [0, 1, 2, 3]  # of three windows a step: the batch that the last one begins is not computed
    assert clip.stopped_at_step == 1
