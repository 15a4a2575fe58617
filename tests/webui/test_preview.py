"""The host's live preview while a clip is sampled, as its progress answers make it."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image


@pytest.fixture
def preview(webui, host):
    """Runs a request, and returns what the host would show, asked with these arguments in the midst of it."""

    def ask(count=6, *args, function="sample_to_image", values=None, **kwargs):
        shown = []
        original = webui.model.apply_model

        def apply_model(*rows, **named):
            latents = torch.linspace(-4, 4, count)[:, None, None, None].expand(count, 4, 8, 8)
            shown.append(getattr(host.sd_samplers, function)(latents, *args, **kwargs))
            return original(*rows, **named)

        webui.model.apply_model = apply_model
        try:
            webui.run({"video_length": 6, "fps": 4, **(values or {})})
        finally:
            del webui.model.apply_model
        return shown[0]

    return ask


def saved(picture, kind):
    buffer = io.BytesIO()
    picture.save(buffer, format=kind)
    return Image.open(buffer)


@pytest.mark.parametrize("kind", ["png", "webp"])
@pytest.mark.parametrize("function", ["sample_to_image", "samples_to_image_grid"])
def test_preview_of_the_clip_moves_at_its_pace(preview, kind, function):
    moving = saved(preview(function=function), kind)
    assert moving.n_frames == 6
    moving.seek(1)
    moving.load()
    assert moving.info["duration"] == 250


def test_preview_as_jpeg_is_the_first_frame(preview):
    picture = saved(preview(), "jpeg")
    assert getattr(picture, "n_frames", 1) == 1
    assert picture.getpixel((0, 0))[0] < 20


def test_preview_by_the_full_vae_is_replaced_by_the_cheap_one(preview, webui):
    assert preview().getpixel((0, 0))[1] == 1
    webui.options["show_progress_type"] = "Full"
    assert preview().getpixel((0, 0))[1] == 2


def test_pictures_to_save_and_latents_of_others_are_the_hosts_own(preview):
    assert saved(preview(6, 5), "png").n_frames == 1
    assert saved(preview(3), "png").n_frames == 1
    assert saved(preview(6, approximation=0), "png").n_frames == 1


def test_previews_stand_still_where_the_setting_is_off(preview, webui):
    webui.options["animatediff_moving_preview"] = False
    assert saved(preview(), "png").n_frames == 1


def test_previews_are_the_hosts_own_after_the_run(preview, webui, host):
    before = host.sd_samplers.sample_to_image, host.sd_samplers_common.sample_to_image
    preview()
    assert (host.sd_samplers.sample_to_image, host.sd_samplers_common.sample_to_image) == before
