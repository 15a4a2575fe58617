"""The host's live preview while a clip is sampled, as its progress answers make it."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image


@pytest.fixture
def preview(webui, host):
    """Runs a request of 6 frames, and returns what the host shows of `count` latents in the midst of it."""

    def show(count=6):
        shown, state = [], host.shared.state
        original = webui.model.apply_model

        def apply_model(*rows, **named):
            state.current_latent = torch.linspace(-4, 4, count)[:, None, None, None].expand(count, 4, 8, 8)
            state.do_set_current_image()
            shown.append(state.current_image)
            return original(*rows, **named)

        webui.model.apply_model = apply_model
        try:
            webui.run({"video_length": 6, "fps": 4})
        finally:
            del webui.model.apply_model
        return shown[0]

    return show


def saved(picture, kind):
    buffer = io.BytesIO()
    picture.save(buffer, format=kind)
    return Image.open(buffer)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_preview_of_the_clip_moves_at_its_pace(preview, kind):
    moving = saved(preview(), kind)
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


def test_latents_of_something_else_are_shown_as_the_host_does(preview):
    assert saved(preview(3), "png").n_frames == 1


def test_previews_stand_still_where_the_setting_is_off(preview, webui):
    webui.options["animatediff_moving_preview"] = False
    assert saved(preview(), "png").n_frames == 1


def test_previews_are_the_hosts_own_after_the_run(preview, host):
    preview()
    host.shared.state.do_set_current_image()
    assert saved(host.shared.state.current_image, "png").n_frames == 1
