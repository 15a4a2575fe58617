"""How strongly the motion module acts on a clip: scale and effect, over frames and over the picture."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from animatediff_webui.core.errors import ParameterError

SHORT = {"seed": 3, "steps": 2, "video_length": 6, "batch_size": 6}


@pytest.fixture(scope="module")
def plain(animator):
    return animator.generate("a circle", **SHORT).latents


def test_values_of_one_change_no_bit(animator, plain):
    ones = animator.generate("a circle", **SHORT, motion_scale=1, motion_effect="0: 1, 50%: 1")
    assert ones.latents.equal(plain)


def test_effect_zero_equals_no_motion_module_bit_for_bit(animator, still_animator, plain):
    idle = animator.generate("a circle", **SHORT, motion_effect=0)
    still = still_animator.generate("a circle", **SHORT, beta_schedule="linear")
    assert idle.latents.equal(still.latents)
    assert not idle.latents.equal(plain)


def test_scale_and_masks_change_the_clip_and_go_by_frames_in_windows_too(animator, plain, tmp_path):
    Image.new("L", (8, 8), 128).save(tmp_path / "grey.png")
    for values in ({"motion_scale": 0.5}, {"motion_effect": {"mask": str(tmp_path), "low": 0.2}}):
        assert not animator.generate("a circle", **SHORT, **values).latents.equal(plain)
    long = {**SHORT, "video_length": 9, "context_scheduler": "batched", "closed_loop": "N", "batch_size": 3}
    whole = animator.generate("a circle", **long).latents
    changed = animator.generate("a circle", **long, motion_effect="0: 1 hold, 6: 0.5").latents
    assert changed[:6].equal(whole[:6])
    assert not torch.allclose(changed[6:], whole[6:])


def test_mask_that_is_not_there_is_refused_before_anything_starts(animator):
    def fail(session):
        raise AssertionError

    with pytest.raises(ParameterError, match=r"motion_effect cannot be read: missing\.png is not"):
        animator.generate("a circle", **SHORT, motion_effect="missing.png", on_start=fail)
