"""The Python API: the same seed, the same clip; nothing left behind; all that travels, loops and repeats."""

from __future__ import annotations

import pytest
import torch

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers.samplers import SAMPLERS
from animatediff_webui.media import read_frames
from motion_module import MotionModuleError
from standalone import Animator


def fingerprint(module: torch.nn.Module) -> list[tuple[str, float, int]]:
    hooks = [len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules()]
    weights = [(name, float(weight.double().sum())) for name, weight in module.state_dict().items()]
    return [(name, total, sum(hooks)) for name, total in weights]


def test_generate_with_the_same_seed_repeats_bit_for_bit(animator):
    first, second = (animator.generate("a circle", seed=3, steps=3, sampler_name="Euler a") for _ in range(2))
    assert torch.equal(first.latents, second.latents)
    assert [frame.tobytes() for frame in first.frames()] == [frame.tobytes() for frame in second.frames()]
    assert not torch.equal(first.latents, animator.generate("a circle", seed=4, steps=3).latents)


def test_generate_without_a_motion_module_draws_each_frame_alone(still_animator):
    many = still_animator.generate("a circle", seed=3, steps=2, video_length=6, batch_size=6)
    few = still_animator.generate("a circle", seed=5, steps=2, video_length=1, batch_size=1)
    torch.testing.assert_close(many.latents[2:3], few.latents, rtol=1e-3, atol=1e-4)


def test_generate_with_a_motion_module_ties_the_frames_together(animator, still_animator):
    moving, alone = (each.generate("a circle", seed=3, steps=2) for each in (animator, still_animator))
    assert not torch.allclose(moving.latents, alone.latents, atol=1e-2)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_generate_with_each_sampler_gives_finite_latents_and_counts_its_calls(name, animator):
    clip = animator.generate("a circle", seed=1, steps=4, sampler_name=name, video_length=2, batch_size=2)
    assert torch.isfinite(clip.latents).all()
    assert clip.session.windows_begun == clip.session.total_windows


def test_generate_leaves_the_unet_as_it_was_after_success_failure_and_stop(animator):
    before = fingerprint(animator.pipeline.unet), fingerprint(animator.module)
    animator.generate("a circle", seed=1, steps=2)
    with pytest.raises(RuntimeError, match="boom"):
        animator.generate("a circle", seed=1, steps=2, on_window=_raise)
    animator.generate("a circle", seed=1, steps=9, on_window=lambda session, _estimate: session.stop())
    assert (fingerprint(animator.pipeline.unet), fingerprint(animator.module)) == before


@pytest.mark.parametrize(
    "settings",
    [
        {"freeinit_enable": True},
        {"closed_loop": "Seamless", "video_length": 6, "batch_size": 4},
        {"sampler_name": "PLMS"},
        {"sampler_name": "DPM2 a"},
        {"width": 72, "height": 80},
        {"cfg_scale": 1.0},
        {"clip_skip": 2},
        {"motion_effect": "0: 1, 100%: 0"},
    ],
    ids=str,
)
def test_generate_leaves_everything_as_it_was_whatever_is_set(settings, animator):
    def state():
        pipeline = animator.pipeline
        models = (pipeline.unet, pipeline.vae, pipeline.text_encoder, animator.module)
        return [fingerprint(model) for model in models], dict(pipeline.scheduler.config)

    plain = animator.generate("a circle", seed=1, steps=1)
    before = state()
    animator.generate("a circle", seed=1, **{"steps": 2, **settings})
    assert state() == before
    assert torch.equal(animator.generate("a circle", seed=1, steps=1).latents, plain.latents)


def _raise(_session, _estimate):
    raise RuntimeError("boom")


def test_generate_stopped_returns_the_models_idea_of_the_clip(animator):
    def stop_late(session, _estimate):
        if session.step == 3:
            session.stop()

    clip = animator.generate("a circle", seed=1, steps=8, sampler_name="Euler", on_window=stop_late)
    whole = animator.generate("a circle", seed=1, steps=8, sampler_name="Euler")
    assert clip.stopped_at_step == 4
    assert "interrupted at step 4" in clip.infotext
    assert clip.latents.shape == whole.latents.shape
    noise = torch.randn_like(whole.latents)
    assert (clip.latents - whole.latents).norm() < (noise - whole.latents).norm()


def test_generate_with_windows_begins_like_the_short_clip_of_the_first_window(animator):
    long = animator.generate("a circle", seed=1, steps=2, video_length=40, context_scheduler="batched")
    assert long.latents.shape[0] == 40
    assert torch.isfinite(long.latents).all()
    assert long.session.windows_begun == long.plan.cost(2).window_calls


@pytest.mark.parametrize("loop", ["N", "R-P", "R+P", "A", "Seamless"])
def test_generate_in_every_loop_mode_plays_what_the_plan_says(loop, animator, tmp_path):
    asked = {"video_length": 10, "batch_size": 4, "closed_loop": loop, "format": ["GIF"]}
    clip = animator.generate("0: a\n5: b", seed=1, steps=1, **asked)
    (file,) = clip.save(tmp_path)
    assert file.error is None
    assert len(read_frames(file.path)) == len(clip.plan.played_frames)


def test_save_with_reverse_plays_forth_and_back_and_keeps_each_frame_once(animator, tmp_path):
    short = {"seed": 1, "steps": 1, "video_length": 4, "batch_size": 4}
    clip = animator.generate("a", **short, reverse=[0, 1, 2], format=["GIF", "PNG"])
    gif, folder = clip.save(tmp_path)
    assert (gif.num_frames, folder.num_frames) == (6, 4)
    assert len(list(folder.path.glob("*.png"))) == 4


def test_frames_are_decoded_one_at_a_time_and_only_when_asked_for(animator, monkeypatch):
    clip = animator.generate("a", seed=1, steps=1, video_length=16)
    vae = clip.pipeline.vae
    sizes: list[int] = []
    original = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, **keywords: sizes.append(len(z)) or original(z, **keywords))
    frames = clip.frames()
    next(frames)
    assert sizes == [1]


def test_prompt_travel_tells_each_frame_its_own_prompt(still_animator):
    settings = {"seed": 1, "steps": 2, "video_length": 6, "batch_size": 6}
    travel = still_animator.generate("0: red\n4: blue", **settings, prompt_easing="hold")
    red, blue = (still_animator.generate(text, **settings) for text in ("red", "blue"))
    assert torch.equal(travel.latents[:4], red.latents[:4])
    assert torch.equal(travel.latents[4:], blue.latents[4:])


def test_negative_prompt_travels_too(still_animator):
    settings = {"seed": 1, "steps": 2, "video_length": 6, "batch_size": 6, "prompt_easing": "hold"}
    travel = still_animator.generate("a", negative_prompt="0: red\n4: blue", **settings)
    red, blue = (still_animator.generate("a", negative_prompt=text, **settings) for text in ("red", "blue"))
    assert torch.equal(travel.latents[:4], red.latents[:4])
    assert torch.equal(travel.latents[4:], blue.latents[4:])


def test_freeinit_samples_several_times_and_freenoise_repeats_noise(animator):
    settings = {"seed": 1, "steps": 2, "video_length": 24}
    plain = animator.generate("a", **settings)
    again = animator.generate("a", **settings, freeinit_enable=True, freeinit_iters=2)
    assert again.session.windows_begun == 2 * plain.session.windows_begun
    assert not torch.equal(plain.latents, again.latents)
    assert not torch.equal(plain.latents, animator.generate("a", **settings, freenoise=False).latents)


def test_long_prompts_are_encoded_whole(animator):
    words = ", ".join(f"word{index}" for index in range(80))
    settings = {"seed": 1, "steps": 1, "video_length": 2, "batch_size": 2}
    first, second = (animator.generate(f"{words}, {end}", **settings) for end in ("red", "blue"))
    assert not torch.equal(first.latents, second.latents)


def test_cfg_scale_1_leaves_the_negative_prompt_out(animator):
    settings = {"seed": 1, "steps": 2, "cfg_scale": 1.0, "video_length": 4, "batch_size": 4}
    first, second = (animator.generate("a", negative_prompt=text, **settings) for text in ("", "blue"))
    assert torch.equal(first.latents, second.latents)


def test_beta_schedule_is_the_modules_unless_overridden(animator):
    settings = {"seed": 1, "steps": 2, "video_length": 4, "batch_size": 4}
    automatic, linear, own = (
        animator.generate("a", beta_schedule=name, **settings).latents
        for name in ("auto", "linear", "checkpoint")
    )
    assert torch.equal(automatic, linear)
    assert not torch.equal(automatic, own)


def test_animator_with_a_module_of_other_widths_is_refused_before_sampling(checkpoint, tmp_path):
    from motion_module import MotionModule, MotionModuleSpec, write_motion_module

    path = tmp_path / "wide.safetensors"
    write_motion_module(MotionModule(MotionModuleSpec(widths=(64, 64, 64, 64))), path)
    with pytest.raises(MotionModuleError, match="channels"):
        Animator(checkpoint=checkpoint, motion_module=path).generate("a", steps=1)


def test_animator_with_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="diffusers folder"):
        _ = Animator(checkpoint=tmp_path, motion_module="none").pipeline


def test_previews_come_every_few_steps_with_all_frames(animator):
    seen = []
    animator.generate(
        "a circle", seed=1, steps=7, preview_every=3,
        on_preview=lambda session, frames: seen.append((session.step, len(frames), frames[0].size)),
    )  # fmt: skip
    assert seen == [(3, 16, (64, 64)), (6, 16, (64, 64))]


def test_a_late_preview_looks_like_the_clip(animator):
    rough = []
    clip = animator.generate(
        "a circle", seed=1, steps=6, preview_every=5, on_preview=lambda _session, frames: rough.append(frames)
    )
    for preview, frame in zip(rough[-1], clip.frames(), strict=True):
        small = [torch.tensor(list(each.resize((8, 8)).tobytes())).float() for each in (preview, frame)]
        assert (small[0] - small[1]).abs().mean() < 40


def test_preview_every_nought_is_refused(animator):
    with pytest.raises(UserError, match="preview_every is 0"):
        animator.generate("a circle", steps=1, preview_every=0, on_preview=print)


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_too_little_memory_is_the_users_to_mend_and_said_in_one_sentence(part, animator, tmp_path):
    layer = getattr(animator.pipeline, part).get_submodule({"unet": "mid_block", "vae": "decoder"}[part])
    hook = layer.register_forward_hook(lambda *_: torch.empty(2**55, dtype=torch.uint8))
    try:
        with pytest.raises(UserError, match=r"not enough memory \(.+\): ask for smaller frames") as refused:
            animator.generate("a circle", seed=1, steps=1, video_length=2, batch_size=2).save(tmp_path)
    finally:
        hook.remove()
    assert len(str(refused.value).splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
