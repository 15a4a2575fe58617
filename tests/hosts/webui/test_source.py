from __future__ import annotations

import base64
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
import pytest
import torch

from animatediff_webui.media.readers import read_frames
from tests.hosts.webui.conftest import write_greys

GREYS = tuple(range(20, 240, 20))


@pytest.fixture
def folder(tmp_path):
    return write_greys(tmp_path / "frames", GREYS)


@pytest.fixture
def video(tmp_path, folder):
    """Eleven frames at 25 a second, with sound."""
    path = tmp_path / "source.mkv"
    inputs = ["-framerate", "25", "-i", folder / "%d.png", "-f", "lavfi", "-i", "sine=frequency=440:d=0.44"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *inputs, "-c:v", "ffv1", "-c:a", "flac", path]
    subprocess.run(list(map(str, command)), check=True)
    return path


def started_from(p):
    """The level of the picture that each frame started from, as the host has it."""
    latents = getattr(p, "init_latent", None)
    if latents is None:
        latents = p.sampler.model_wrap_cfg.init_latent
    return [round(float((level + 1) / 2 * 255)) for level in latents.mean((1, 2, 3))]


@pytest.mark.parametrize("is_img2img", [True, False])
def test_each_frame_starts_from_its_own_frame_of_the_video(webui, video, is_img2img):
    pictures = {"init_images": []} if is_img2img else {}
    p = webui.run({"video_source": str(video), "format": ["GIF", "Frame"]}, is_img2img=is_img2img, **pictures)
    assert started_from(p) == pytest.approx(GREYS, abs=1)
    assert len(p.processed.images) == 1 + len(GREYS)


def test_part_of_a_folder_is_used_and_its_frames_say_the_length(webui, folder):
    values = {"video_path": str(folder), "video_start": 2, "video_end": 9, "video_stride": 2}
    p = webui.run(values, is_img2img=True, init_images=[None])
    assert started_from(p) == pytest.approx(GREYS[2:9:2], abs=1)


def test_client_of_txt2img_need_not_send_a_denoising_strength(webui, folder):
    p = webui.run({"video_path": str(folder), "video_length": 4}, denoising_strength=None)
    assert p.denoising_strength is None
    assert "Denoising strength: 0.75" in p.processed.infotexts[0]


def test_rate_of_the_video_is_that_of_the_clip_and_its_sound_goes_along(webui, video):
    webui.run({"video_source": str(video), "format": ["MP4"]})
    (written,) = Path(webui.folder).rglob("*.mp4")
    clip = read_frames(written)
    assert (clip.fps, len(clip)) == (25, len(GREYS))
    assert clip.sound_start == 0


def test_sound_can_be_left_out(webui, video):
    webui.run({"video_source": str(video), "format": ["MP4"], "audio": False})
    (written,) = Path(webui.folder).rglob("*.mp4")
    assert read_frames(written).sound_start is None


def test_batch_tab_takes_a_video_too(webui, video):
    p = webui.request({"format": ["MP4"]}, is_img2img=True, init_images=[None])
    webui.host.shared.state.begin()
    webui.host.batch.animate_folder(p, str(video), "", "", ())
    assert started_from(p) == pytest.approx(GREYS, abs=1)
    (written,) = Path(webui.folder).rglob("*.mp4")
    assert read_frames(written).fps == 25


def test_masks_belong_to_their_frames(webui, tmp_path, folder):
    write_greys(tmp_path / "masks", [255, 0] * 6)
    values = {"video_path": str(folder), "mask_path": str(tmp_path / "masks")}
    p = webui.run(values, is_img2img=True, init_images=[])
    changed = (p.last_samples - p.init_latent).abs().mean((1, 2, 3))
    assert torch.all(changed[1::2] == 0)
    assert torch.all(changed[::2] > 0)


def test_masks_that_lie_beside_the_frames_are_left_where_nothing_is_for_them(webui, tmp_path):
    write_greys(tmp_path / "both" / "image", GREYS)
    write_greys(tmp_path / "both" / "mask", [255] * 4)
    p = webui.run({"video_path": str(tmp_path / "both")})
    assert started_from(p) == pytest.approx(GREYS, abs=1)
    assert "masks beside the frames are not used" in p.processed.comments
    p = webui.run({"video_path": str(tmp_path / "both")}, is_img2img=True, init_images=[])
    assert started_from(p) == pytest.approx(GREYS[:4], abs=1)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_request_is_as_before_and_what_it_brought_along_is_gone(webui, video, temporary):
    data = base64.b64encode(video.read_bytes()).decode()
    p = webui.request({"video_source": data}, is_img2img=True, init_images=[])
    webui.host.shared.state.begin()
    webui.host.processing.process_images(p)
    assert p.init_images == []
    assert not list(temporary.iterdir())


def test_what_a_request_brought_along_is_gone_after_an_error_too(webui, video, temporary):
    data = base64.b64encode(video.read_bytes()).decode()
    webui.model.apply_model = lambda *args, **kwargs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        webui.run({"video_source": data})
    assert not list(temporary.iterdir())


def test_freeinit_starts_over_from_the_frames(webui, folder):
    p = webui.run({"video_path": str(folder), "freeinit_enable": True, "video_length": 6})
    plain = webui.samples({"video_path": str(folder), "video_length": 6})
    assert torch.isfinite(p.last_samples).all()
    assert not torch.equal(p.last_samples, plain)


def test_hires_fix_goes_on_from_what_started_from_the_frames(webui, folder):
    p = webui.run({"video_path": str(folder), "video_length": 4}, enable_hr=True)
    assert p.last_samples.shape[-1] == 16


def test_txt2img_without_a_source_samples_as_before(webui, folder):
    before = webui.samples({"video_length": 4})
    webui.run({"video_path": str(folder)})
    assert torch.equal(webui.samples({"video_length": 4}), before)


@pytest.mark.parametrize(
    ("values", "fields", "message"),
    [
        ({}, {"init_images": []}, "nothing to start from"),
        ({"video_source": "/etc/hostname"}, {}, "outside the folders that the API may read from"),
        ({"video_source": "https://host/video.mp4"}, {}, "is an address"),
        ({"video_source": "data:video/mp4;base64,AAAA"}, {}, "is not a video"),
        ({"video_path": "{tmp}/none"}, {}, "not an existing"),
        ({"mask_path": "{tmp}/frames"}, {}, "nothing that mask_path could be for"),
        ({"video_path": "{tmp}/frames", "video_start": 50}, {}, "none is left from frame 50"),
    ],
)
def test_source_that_cannot_be_used_is_refused_in_one_sentence(
    webui, tmp_path, folder, values, fields, message
):
    filled = {
        key: value.format(tmp=tmp_path) if isinstance(value, str) else value for key, value in values.items()
    }
    with pytest.raises(webui.host.api.AnimateDiffError, match=message):
        webui.run(filled, is_img2img="init_images" in fields, **fields)
    assert not webui.model.calls


def test_api_may_read_what_the_host_may_hand_out(webui, tmp_path, folder, temporary, monkeypatch):
    with pytest.raises(webui.host.api.AnimateDiffError, match="outside the folders"):
        webui.run({"video_path": str(folder)})
    monkeypatch.setattr(webui.host.shared.cmd_opts, "gradio_allowed_path", [str(tmp_path)], raising=False)
    webui.run({"video_path": str(folder), "video_length": 4})
    link = tmp_path / "link"
    link.symlink_to("/etc")
    with pytest.raises(webui.host.api.AnimateDiffError, match="outside the folders"):
        webui.run({"video_path": str(link)})
