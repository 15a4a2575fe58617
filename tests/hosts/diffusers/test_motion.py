"""How strongly the motion module acts on a clip: scale and effect, over frames and over the picture."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from animatediff_webui.core.errors import ParameterError, UserError
from standalone import Animator
from tests.hosts.diffusers.stand_in import write_module

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


@pytest.fixture(scope="module")
def second(module_file):
    """Another motion module beside the first."""
    return write_module(module_file.parent / "second.safetensors", seed=5).name


def test_second_module_acts_behind_the_first_and_not_at_all_where_its_effect_is_zero(animator, plain, second):
    both = animator.generate("a circle", **SHORT, modules=[second]).latents
    assert not torch.allclose(both, plain)
    idle = (
        {"effect": 0},
        {"effect": "0: 0, 50%: 0"},
        {"blocks": {f"{side} {level}": 0 for side in ("down", "up") for level in range(4)} | {"mid": 0}},
    )
    for values in idle:
        asked = [{"model": second, **values}]
        assert animator.generate("a circle", **SHORT, modules=asked).latents.equal(plain)


def test_second_module_with_the_firsts_effect_at_zero_is_alone(animator, checkpoint, module_file, second):
    other = Animator(checkpoint=checkpoint, motion_module=module_file.parent / second)
    alone = other.generate("a circle", **SHORT).latents
    assert animator.generate("a circle", **SHORT, modules=second, motion_effect=0).latents.equal(alone)


def test_second_module_acts_from_its_start_to_its_end(animator, plain, second):
    first_half = [{"model": second, "end": 0.5}]
    latents = animator.generate("a circle", **SHORT, modules=first_half).latents
    whole = animator.generate("a circle", **SHORT, modules=[second]).latents
    assert not torch.allclose(latents, plain)
    assert not torch.allclose(latents, whole)
    tiny = [{"model": second, "start": 0.9}]
    assert animator.generate("a circle", **SHORT, modules=tiny).latents.equal(plain)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"modules": "missing"}, "There is no motion module 'missing'"),
        ({"modules": "stand_in"}, "is asked for twice"),
        ({"motion_blocks": "up 3.2: 0, mid: 1, down 3: 1, down 3.2: 0"}, r"names down 3\.2, but .* has"),
        ({"effect_schedule": "0: 1, 9: 0"}, r"9 is past the last step \(1\)"),
        ({"effect_schedule": "0: 1, 1s: 0"}, "1s is a time, but steps have none"),
        ({"cfg_schedule": "0: 7", "cfg_scale": 1}, "cfg_scale is 1, which does not guide"),
        ({"view_length": 33}, "view_length is 33, but must be from 0 to 32"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(animator, values, words):
    def fail(session):
        raise AssertionError

    with pytest.raises(UserError, match=words):
        animator.generate("a circle", **{**SHORT, **values}, on_start=fail)


def test_effect_over_steps_of_zero_equals_no_module(animator, plain):
    idle = animator.generate("a circle", **SHORT, motion_effect=0).latents
    assert animator.generate("a circle", **SHORT, effect_schedule="0: 0").latents.equal(idle)
    half = animator.generate("a circle", **SHORT, effect_schedule="0: 1 hold, 1: 0").latents
    assert not torch.allclose(half, plain)
    assert not torch.allclose(half, idle)


def test_cfg_over_steps_guides_as_the_scale_would(animator):
    other = animator.generate("a circle", **SHORT, cfg_scale=4).latents
    found = animator.generate("a circle", **SHORT, cfg_scale=7, cfg_schedule="0: 4").latents
    torch.testing.assert_close(found, other, rtol=1e-3, atol=1e-3)
    assert animator.generate("a circle", **SHORT, cfg_scale=4, cfg_schedule="0: 4").latents.equal(other)


def test_views_of_a_whole_window_change_no_bit_and_let_windows_be_longer(animator, plain):
    assert animator.generate("a circle", **SHORT, view_length=6).latents.equal(plain)
    assert not torch.allclose(animator.generate("a circle", **SHORT, view_length=4).latents, plain)
    long = animator.generate("a", seed=1, steps=1, video_length=40, batch_size=40, view_length=16)
    assert len(long.latents) == 40
    assert torch.isfinite(long.latents).all()


def test_constant_noise_and_no_seed_offset_start_every_frame_alike(still_animator):
    for values in ({"noise_type": "constant"}, {"noise_offset": 0}):
        frames = still_animator.generate("a circle", **SHORT, **values).latents
        torch.testing.assert_close(frames, frames[:1].expand_as(frames))
    own = still_animator.generate("a circle", **SHORT).latents
    mixed = still_animator.generate("a circle", **SHORT, noise_type="constant", noise_weight=0).latents
    assert mixed.equal(own)


def test_windows_are_as_long_as_their_step_is_given(animator, plain):
    settings = {**SHORT, "batch_size": 6, "overlap": 0, "closed_loop": "N"}
    whole = animator.generate("a circle", **settings)
    assert animator.generate("a circle", **settings, context_schedule="0: 6").latents.equal(whole.latents)
    falling = animator.generate("a circle", **settings, context_schedule="0: 6 hold, 1: 3")
    assert falling.session.windows_begun == falling.session.total_windows == 3
    assert not torch.allclose(falling.latents, whole.latents)
    assert "context_schedule" in falling.infotext


def test_noise_is_frozen_from_the_frame_on_that_a_schedule_says(still_animator):
    own = still_animator.generate("a circle", **SHORT).latents
    frozen = still_animator.generate(
        "a circle", **SHORT, noise_type="constant", noise_weight="0: 0 hold, 3: 1"
    ).latents
    assert frozen[:3].equal(own[:3])
    assert frozen[3:].equal(own[:1].expand_as(own[3:]))
    with pytest.raises(UserError, match=r"noise_weight is '0: 0, 9: 1', but 9 is past the last frame \(5\)"):
        still_animator.plan("a circle", **SHORT, noise_weight="0: 0, 9: 1")


def test_windows_see_the_first_one_where_that_is_asked_for_and_there_is_another(animator, plain):
    long = {**SHORT, "video_length": 9, "context_scheduler": "batched", "closed_loop": "N", "batch_size": 3}
    whole = animator.generate("a circle", **long).latents
    referring = animator.generate("a circle", **long, reference=1).latents
    assert referring[:3].equal(whole[:3])
    assert not torch.allclose(referring[3:], whole[3:])
    assert animator.generate("a circle", **long, reference=1, reference_end=0).latents.equal(whole)
    half = animator.generate("a circle", **long, reference=1, reference_end=0.5).latents
    assert not torch.allclose(half, referring)
    assert animator.generate("a circle", **SHORT, reference=1).latents.equal(plain)
    assert animator.module.runtime.kept == {}


def test_reference_beside_views_is_noted(animator):
    clip = animator.generate("a", **{**SHORT, "steps": 1}, reference=1, view_length=4)
    assert any("The reference is not used, because views" in note for note in clip.notes)
