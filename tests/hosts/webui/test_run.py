from __future__ import annotations

import base64
import copy
import io
import json

import pytest
import torch
from PIL import Image

from animatediff_webui.core.plan import Plan
from motion_module import BetaSchedule, alphas_cumprod
from tests.hosts.webui.conftest import FakeModel, clean, embedding
from tests.infotexts import find_animation

LONG = "one two three four five six seven eight nine"
LINEAR = alphas_cumprod(BetaSchedule.LINEAR)


def images_of(p):
    return [Image.open(io.BytesIO(base64.b64decode(image))) for image in p.processed.images]


def test_run_gives_a_gif_with_the_infotext_and_the_frames_asked_for(webui):
    p = webui.run({"video_length": 6, "format": ["GIF", "Frame"]})
    video, *frames = p.processed.images
    assert Image.open(io.BytesIO(base64.b64decode(video))).n_frames == 6
    assert len(frames) == 6
    (file,) = json.loads(p.processed.js())["animatediff"]
    assert (file["format"], file["mime"], file["error"]) == ("GIF", "image/gif", None)
    assert file["name"].endswith("-1.gif")
    info = find_animation(p.processed.infotexts[0])
    assert info.parameters.video_length == 6
    assert info.parameters.model == "mm.safetensors"
    assert len(info.model_hash) == 10


def test_videos_come_in_the_order_of_format(webui):
    p = webui.run({"format": ["WEBP", "GIF"]})
    assert [image.format for image in images_of(p)] == ["WEBP", "GIF"]


def test_motion_module_makes_a_difference_and_leaves_none(webui):
    plain, before = webui.samples(), clean(webui.model)
    animated = webui.samples({})
    assert len(animated) == 4
    assert clean(webui.model) == before
    assert torch.equal(webui.samples(), plain)
    assert not torch.allclose(animated[0], plain[0], atol=1e-2)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(
    "request_", [{}, {"prompt": LONG}, {"negative_prompt": LONG}, {"cfg_scale": 1.0}, {"s_min_uncond": 9.0}]
)
def test_layout_of_the_calls_does_not_change_the_clip(webui, batched, request_):
    webui.options["batch_cond_uncond"] = True
    expected = webui.samples({"video_length": 6}, **request_)
    webui.options["batch_cond_uncond"] = batched
    assert torch.allclose(webui.samples({"video_length": 6}, **request_), expected, atol=1e-4)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("other", ["a dog", LONG])
def test_and_with_weight_nought_equals_the_prompt_alone(webui, batched, other):
    webui.options["batch_cond_uncond"] = batched
    joined = webui.samples({"video_length": 6}, prompt=f"a cat :1 AND {other} :0")
    length = max(len(embedding("a cat")), len(embedding(other)))
    if length == len(embedding("a cat")):
        assert torch.allclose(joined, webui.samples({"video_length": 6}), atol=1e-4)
    assert webui.options["batch_cond_uncond"] is batched
    assert torch.isfinite(joined).all()


def test_windows_are_all_the_model_sees(webui):
    webui.run({"video_length": 10, "context_scheduler": "standard static"})
    assert {call.rows for call in webui.model.calls} == {8}  # 4 frames, cond and uncond
    assert len(webui.model.calls) == 2 * 3  # steps, windows


def test_second_order_sampler_keeps_the_windows_of_a_step(webui, monkeypatch):
    seen = []
    original = Plan.windows

    def windows(self, step, share):
        seen.append(step)
        return original(self, step, share)

    monkeypatch.setattr(Plan, "windows", windows)
    webui.run({"video_length": 8}, sampler_name="Heun")
    assert seen == [0, 0, 1, 1]


class Spy:
    args_from = args_to = 0

    def __init__(self, **methods):
        for name, method in methods.items():
            setattr(self, name, method)


@pytest.mark.parametrize("is_img2img", [False, True])
def test_sampler_follows_the_motion_modules_schedule(webui, is_img2img):
    fields = {"is_img2img": True, "init_images": [Image.new("RGB", (64, 64), "red")]} if is_img2img else {}
    p = webui.request({}, **fields)
    made = []
    original = webui.host.sd_samplers.create_sampler
    webui.host.sd_samplers.create_sampler = lambda *args: made.append(original(*args)) or made[-1]
    try:
        webui.host.shared.state.begin()
        webui.host.processing.process_images(p)
    finally:
        webui.host.sd_samplers.create_sampler = original
    assert torch.equal(made[-1].model_wrap_cfg.alphas, LINEAR)
    assert all(torch.equal(call.alphas, LINEAR) for call in webui.model.calls)
    assert not torch.equal(webui.model.alphas_cumprod, LINEAR)


def test_schedule_setting_overrules_the_motion_module(webui):
    webui.options["animatediff_beta_schedule"] = BetaSchedule.SCALED_LINEAR.value
    webui.run({})
    assert not torch.equal(webui.model.calls[0].alphas, LINEAR)


def test_users_own_changes_of_the_schedule_stay_and_are_mentioned(webui):
    webui.options["use_downcasted_alpha_bar"] = True
    p = webui.run({})
    assert webui.model.calls[0].alphas.dtype is torch.float16
    assert "downcast alphas" in p.processed.comments


def test_host_without_original_alphas_gets_the_schedule_too(webui):
    del webui.model.alphas_cumprod_original
    webui.run({})
    assert torch.equal(webui.model.calls[0].alphas, LINEAR)
    assert not hasattr(webui.model, "alphas_cumprod_original")


ERRORS = {
    "fps": ({"fps": 0}, "fps is 0"),
    "format": ({"format": []}, "format is []"),
    "length": ({"video_length": -1}, "video_length is -1"),
    "missing": ({"model": "none.safetensors"}, "no motion module 'none.safetensors'"),
    "other widths": ({"model": "sub/wide"}, "channels"),
    "broken": ({"model": "broken.ckpt"}, "broken.ckpt"),
    "unknown key": ({"fpz": 1}, "fpz is no parameter"),
    "too many frames": ({"batch_size": 33}, "must be from 1 to 32"),
    "overlap": ({"overlap": 4}, "overlap is 4"),
    "no video": ({"video_source": "a.mp4"}, "not an existing file"),
    "no network": ({"interp": "FILM"}, "models/FrameInterpolation: put it there, or name another folder by"),
}


def test_model_that_cannot_animate_stops_the_run(webui, monkeypatch):
    monkeypatch.setattr(webui.host.sd_unet, "current_unet", object())
    with pytest.raises(webui.host.api.AnimateDiffError, match="set Settings -> SD Unet to None") as caught:
        webui.run({})
    assert caught.value.status_code == 422
    assert not webui.model.calls


@pytest.mark.parametrize(("values", "words"), ERRORS.values(), ids=list(ERRORS))
def test_set_up_error_stops_the_run_with_status_422(webui, values, words):
    plain, before = webui.samples(), clean(webui.model)
    with pytest.raises(webui.host.api.AnimateDiffError, match=words.replace("[", r"\[")) as caught:
        webui.run(values)
    assert caught.value.status_code == 422
    assert caught.value.detail == str(caught.value)
    assert clean(webui.model) == before
    assert torch.equal(webui.samples(), plain)
    assert webui.runner.reported == []


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_bad_keyframe_stops_the_run_and_names_the_line(webui, field):
    with pytest.raises(webui.host.api.AnimateDiffError, match="Line 2: keyframe 9"):
        webui.run({}, **{field: "0: a\n9: b"})


def test_exception_while_sampling_puts_everything_back(webui):
    before = clean(webui.model)
    p = webui.request({})
    out = webui.model.model.diffusion_model.out[0]
    hook = out.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        webui.host.processing.process_images(p)
    hook.remove()
    assert clean(webui.model) == before
    assert "sample" not in vars(p)
    assert webui.samples({}) is not None


def test_interrupt_is_answered_between_windows_and_said_in_the_infotext(webui):
    state = webui.host.shared.state
    webui.model.model.diffusion_model.out[0].register_forward_hook(
        lambda *_: interrupt_after(webui, state, 5)
    )
    p = webui.run({"video_length": 10, "context_scheduler": "standard static"})
    assert len(webui.model.calls) == 5  # two steps of three windows: the last one is not computed
    assert "AnimateDiff note: interrupted at step 1 of 2" in p.processed.infotexts[0]
    assert images_of(p)[0].n_frames == 10


def interrupt_after(webui, state, calls):
    if len(webui.model.calls) == calls:
        state.interrupted = True


def test_progress_counts_windows(webui):
    seen = []
    state = webui.host.shared.state
    webui.model.model.diffusion_model.out[0].register_forward_hook(
        lambda *_: seen.append(state.sampling_step)
    )
    webui.run({"video_length": 8, "context_scheduler": "batched"}, steps=2)
    assert seen == [0, 0.5, 0, 0.5]
    assert isinstance(state.sampling_step, int)


def test_nested_request_of_another_extension_sees_a_clean_model(webui):
    seen = []

    def mend(p, pp):
        if len(seen) < 1:
            seen.append(None)
            nested = copy.copy(p)
            nested.batch_size, nested.n_iter, nested.prompt = 1, 1, "a face"
            seen[0] = clean(webui.model), len(webui.host.processing.process_images(nested).images)

    webui.runner.alwayson_scripts.append(Spy(postprocess_image=mend))
    before = clean(webui.model)
    p = webui.run({}, n_iter=2)
    assert seen == [(before, 1)]
    assert len(p.processed.images) == 2
    assert webui.runner.reported == []


def test_each_clip_of_a_batch_count_is_repeatable_from_its_own_seed(webui):
    both = webui.run({}, n_iter=2, seed=5)
    assert len(both.processed.images) == 2
    assert "Seed: 9" in both.processed.infotexts[1]
    alone = webui.run({}, seed=9)
    assert alone.processed.images[0] == both.processed.images[1]


def test_batch_size_makes_as_many_clips(webui):
    p = webui.run({}, batch_size=2)
    assert len(p.processed.images) == 2
    assert p.batch_size == 2  # the request is as it was


def test_list_of_prompts_makes_a_clip_of_each(webui):
    p = webui.run({}, prompt=["a cat", "a dog"], seed=[1, 7])
    assert [text.split("\n")[0] for text in p.processed.infotexts] == ["a cat", "a dog"]
    assert webui.run({}, prompt="a dog", seed=7).processed.images[0] == p.processed.images[1]


def test_fewer_frames_than_a_window_are_cut_from_a_whole_window(webui):
    p = webui.run({"video_length": 3, "format": ["GIF", "PNG"]})
    assert images_of(p)[0].n_frames == 3
    folder = next(webui.folder.rglob("*-1"))
    assert len(list(folder.iterdir())) == 4


def test_masks_that_the_host_returns_are_not_frames(webui):
    webui.options["return_mask"] = True
    assert images_of(webui.run({}))[0].n_frames == 4


def test_refiner_is_animated_and_left_clean(webui):
    second = FakeModel(seed=1)
    before = clean(second)
    p = webui.run({}, refiner=(1, second))
    assert len(second.calls) == 1
    assert torch.equal(second.calls[0].alphas, LINEAR)
    assert clean(second) == before
    assert len(images_of(p)) == 1


def test_hires_fix_animates_both_passes(webui):
    p = webui.run({"video_length": 6}, enable_hr=True)
    assert p.last_samples.shape[-1] == 16
    assert all(torch.equal(call.alphas, LINEAR) for call in webui.model.calls)


def test_free_init_samples_again_and_runs_hires_fix_once(webui):
    plain = webui.run({}, enable_hr=True)
    once = len(webui.model.calls)
    p = webui.run({"freeinit_enable": True, "freeinit_iters": 3}, enable_hr=True)
    assert len(webui.model.calls) == once + 2 * 2
    assert not torch.equal(p.last_samples, plain.last_samples)


def start_noise(webui, arguments):
    """The noise that a request's sampling starts from."""
    p = webui.request(arguments)
    started = []
    original = webui.host.sd_samplers_common.Sampler.sample
    try:
        webui.host.sd_samplers_common.Sampler.sample = lambda self, p, x, *args, **kwargs: (
            started.append(x) or original(self, p, x, *args, **kwargs)
        )
        webui.host.processing.process_images(p)
    finally:
        webui.host.sd_samplers_common.Sampler.sample = original
    return started[0]


def test_windows_are_as_long_as_their_step_is_given(webui):
    webui.run({"overlap": 0, "closed_loop": "N", "context_schedule": "0: 4 hold, 1: 2"})
    assert [call.rows for call in webui.model.calls] == [8, 4, 4]  # cond and uncond of 4 frames, then of 2


def test_noise_is_frozen_from_the_frame_on_that_a_schedule_says(webui):
    own = start_noise(webui, {})
    frozen = start_noise(webui, {"noise_type": "constant", "noise_weight": "0: 0 hold, 2: 1"})
    assert torch.equal(frozen[:2], own[:2])
    assert torch.equal(frozen[2:], own[:1].expand_as(own[2:]))


def test_free_noise_repeats_the_first_windows_noise(webui):
    noise = start_noise(webui, {"video_length": 8, "overlap": 0})
    assert sorted(frame.sum().item() for frame in noise[4:]) == sorted(
        frame.sum().item() for frame in noise[:4]
    )


def test_run_after_run_reads_and_hash_the_module_once(webui, monkeypatch):
    reads = []
    modules = webui.host.extension.ModuleLibrary.__module__
    library = __import__("sys").modules[modules]
    original = library.load_motion_module
    monkeypatch.setattr(library, "load_motion_module", lambda *a, **k: reads.append(a) or original(*a, **k))
    for _ in range(3):
        webui.run({}, steps=1)
    assert len(reads) == 2  # the first file is none
    assert webui.host.hashes.calculated == ["animatediff/mm.safetensors"]


ARGUMENTS = {
    "objects": [{"enable": True}, {"batch_size": 4}, {"format": "gif"}],
    "bare list": [True, None, ["GIF"], 4, None, None, None, 4],
    "nested list": [[True, None, ["GIF"], 4, None, None, None, 4]],
}


@pytest.mark.parametrize("args", ARGUMENTS.values(), ids=list(ARGUMENTS))
def test_arguments_of_every_shape_are_read(webui, args):
    assert images_of(webui.run(args))[0].n_frames == 4


@pytest.mark.parametrize("args", [[False, "junk"], [{"enable": False, "fps": 0}], []])
def test_request_that_is_off_is_not_touched(webui, args):
    p = webui.run(args, batch_size=2)
    assert len(p.processed.images) == 3  # with the grid
    assert p.extra_generation_params == {}


def test_page_gets_pictures_that_name_their_video(webui):
    p = webui.request({"format": ["GIF", "MP4"]})
    p.is_api = False
    processed = webui.host.processing.process_images(p)
    (picture,) = processed.images
    assert picture.already_saved_as == picture.animatediff_video
    assert picture.already_saved_as.endswith(".gif")


def test_images_of_inpainting_keep_the_picture_outside_the_mask(webui):
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    picture = Image.new("RGB", (64, 64), "red")
    samples = webui.samples({}, is_img2img=True, init_images=[picture], mask=mask)
    kept = webui.model.encode_first_stage(
        torch.tensor([1.0, -1, -1])[None, :, None, None].expand(1, 3, 64, 64)
    )
    assert torch.allclose(samples[..., 4:], kept[..., 4:].expand(4, -1, -1, -1), atol=1e-5)


def test_img2img_starts_from_the_first_and_ends_with_the_last_picture(webui):
    last = Image.new("RGB", (64, 64), "blue")
    p = webui.request(
        {"last_frame": last, "latent_scale": 1, "latent_scale_last": 1},
        is_img2img=True,
        init_images=[Image.new("RGB", (64, 64), "red")],
    )
    started = []
    original = webui.host.sd_samplers_common.Sampler.sample_img2img
    try:
        webui.host.sd_samplers_common.Sampler.sample_img2img = lambda self, p, x, *args, **kwargs: (
            started.append(x) or original(self, p, x, *args, **kwargs)
        )
        webui.host.processing.process_images(p)
    finally:
        webui.host.sd_samplers_common.Sampler.sample_img2img = original
    colours = started[0][:, :3].mean((2, 3)).round()
    assert colours[0].tolist() == [1, -1, -1]
    assert colours[-1].tolist() == [-1, -1, 1]
    assert started[0][1].std() > 0.5  # noise in between


def fail_in_clip(webui, number):
    """The model breaks down in that clip; each has two steps, of one call each."""

    def hook(*_):
        if len(webui.model.calls) > 2 * number:
            raise ZeroDivisionError

    webui.model.model.diffusion_model.out[0].register_forward_hook(hook)


def written(webui):
    return sorted(webui.folder.rglob("*.gif"))


def test_clip_that_fails_leaves_the_clips_before_it(webui):
    fail_in_clip(webui, 2)
    with pytest.raises(ZeroDivisionError):
        webui.run({"format": ["GIF", "PNG"]}, n_iter=3, seed=5)
    first, second = written(webui)
    assert (first.name, second.name) == ("00001-5.gif", "00002-9.gif")
    assert Image.open(second).n_frames == 4
    assert "Seed: 9" in Image.open(second).info["comment"].decode()
    assert len(list((second.parent / "00002-9").iterdir())) == 4


def test_prompt_that_is_refused_in_the_second_clip_leaves_the_first(webui):
    with pytest.raises(webui.host.api.AnimateDiffError, match="Line 2"):
        webui.run({}, prompt=["a cat", "0: a\n9: b"], seed=[1, 2])
    assert len(written(webui)) == 1


def test_clips_that_are_written_early_are_answered_once_and_in_order(webui):
    p = webui.run({"format": ["GIF", "WEBP"]}, n_iter=2, seed=5)
    assert [image.format for image in images_of(p)] == ["GIF", "WEBP"] * 2
    assert [text.count("Seed: 5") for text in p.processed.infotexts] == [1, 1, 0, 0]
    files = json.loads(p.processed.js())["animatediff"]
    names = ["00001-5.gif", "00001-5.webp", "00002-9.gif", "00002-9.webp"]
    assert [file["name"] for file in files] == names
    assert [file["clip"] for file in files] == [0, 0, 1, 1]
    assert [path.name for path in written(webui)] == names[::2]
    assert written(webui)[0].read_bytes() == base64.b64decode(p.processed.images[0])


def test_clip_before_an_interrupt_says_nothing_of_it(webui):
    state = webui.host.shared.state
    webui.model.model.diffusion_model.out[0].register_forward_hook(
        lambda *_: setattr(state, "interrupted", len(webui.model.calls) > 2)
    )
    p = webui.run({}, n_iter=3)
    first, second = (Image.open(path).info["comment"].decode() for path in written(webui))
    assert "interrupted" not in first
    assert "interrupted at step 1 of 2" in second
    assert len(p.processed.images) == 2


@pytest.mark.parametrize("is_old_host", [False, True])
def test_early_clip_of_inpainting_shows_what_is_around_the_mask(webui, monkeypatch, is_old_host):
    if is_old_host:
        monkeypatch.delattr(webui.host.scripts.Script, "postprocess_image_after_composite")
        monkeypatch.setattr(
            webui.host.scripts.ScriptRunner, "postprocess_image_after_composite", lambda *_: None
        )
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    p = webui.run(
        {"format": ["PNG", "GIF"]},
        is_img2img=True,
        init_images=[Image.new("RGB", (64, 64), (255, 0, 0))],
        mask=mask,
        n_iter=2,
    )
    assert len(p.processed.images) == 2
    for folder in (path.with_suffix("") for path in written(webui)):
        assert {Image.open(frame).getpixel((60, 5)) for frame in folder.iterdir()} == {(255, 0, 0)}


def test_host_before_1_9_keeps_the_clips_before_a_failure_too(webui, monkeypatch):
    monkeypatch.delattr(webui.host.scripts.Script, "postprocess_image_after_composite")
    monkeypatch.setattr(webui.host.scripts.ScriptRunner, "postprocess_image_after_composite", lambda *_: None)
    fail_in_clip(webui, 1)
    with pytest.raises(ZeroDivisionError):
        webui.run({}, n_iter=2)
    assert len(written(webui)) == 1


def test_picture_changed_by_a_later_script_is_written_as_it_became(webui):
    def whiten(p, pp, *args):
        pp.image = Image.new("RGB", pp.image.size, "white")

    webui.runner.alwayson_scripts.append(Spy(postprocess_image_after_composite=whiten))
    webui.run({}, n_iter=2)
    for path in written(webui):
        assert Image.open(path).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("keeps_pictures_infotexts", [True, False])
def test_grid_of_several_answers_tells_the_files_of_each(webui, keeps_pictures_infotexts):
    """As the X/Y/Z plot makes it: a copy of the first answer, filled with what the others begin with."""
    webui.host.shared.state.begin()
    process = webui.host.processing.process_images
    answers = [process(webui.request({"fps": fps})) for fps in (4, 8)]
    grid = copy.copy(answers[0])
    grid.index_of_first_image = 1
    kept = [answer.infotexts[0] for answer in answers] if keeps_pictures_infotexts else []
    grid.infotexts = ["the grid's own", *kept]
    grid.images = [answers[0].images[0]]
    info = json.loads(grid.js())
    assert info["index_of_first_image"] == 1
    assert info["infotexts"] == grid.infotexts
    assert [(file["clip"], file["name"], file["fps"]) for file in info["animatediff"]] == [
        (0, "00001-1.gif", 4.0),
        (1, "00002-1.gif", 8.0),
    ]


def test_motion_values_of_one_change_no_bit_and_others_do(webui):
    plain = webui.samples({})
    assert torch.equal(webui.samples({"motion_scale": 1, "motion_effect": "0: 1, 50%: 1"}), plain)
    assert not torch.allclose(webui.samples({"motion_effect": "0: 1, 50%: 0"}), plain)
    assert not torch.allclose(webui.samples({"motion_scale": 0}), plain)


def test_motion_mask_that_cannot_be_read_is_refused(webui):
    with pytest.raises(webui.host.api.AnimateDiffError, match="motion_effect cannot be read"):
        webui.run({"motion_effect": "missing.png"})
    assert webui.model.calls == []


def test_windows_see_the_first_one_where_that_is_asked_for(webui):
    asked = {"video_length": 8, "context_scheduler": "batched", "closed_loop": "N"}
    plain, referring = webui.samples(asked), webui.samples({**asked, "reference": 1})
    assert torch.equal(referring[:4], plain[:4])
    assert not torch.allclose(referring[4:], plain[4:])


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(
    "request_", [{}, {"negative_prompt": LONG}, {"prompt": "a cat :1 AND a dog :0.5"}, {"cfg_scale": 1.0}]
)
def test_windows_together_make_the_same_clip_with_fewer_calls(webui, batched, request_):
    webui.options["batch_cond_uncond"] = batched
    asked = {"video_length": 10, "context_scheduler": "standard static", "motion_effect": "0: 1, 9: 0.5"}
    alone = webui.samples({**asked, "window_batch": 1}, **request_)
    rows = [call.rows for call in webui.model.calls]
    together = webui.samples({**asked, "window_batch": 2}, **request_)
    fewer = [call.rows for call in webui.model.calls]
    assert len(fewer) < len(rows)
    assert sum(fewer) == sum(rows)
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=3e-3)
