"""Clips that start from a video, or from pictures: what stays, what changes, what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from diffusers import AnimateDiffVideoToVideoPipeline
from PIL import Image

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import InitImage
from animatediff_webui.hosts.diffusers.start import Start
from animatediff_webui.hosts.diffusers.vae import encode_frame
from animatediff_webui.media.ffmpeg import run_ffmpeg
from tests.hosts.diffusers.peers import as_clip, as_rows, noise_of, parts_of
from tests.media.clips import frame

FRAMES = 4
QUICK = {"seed": 1, "steps": 4, "sampler_name": "DDIM", "cfg_scale": 3.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four frames; the mask beside them is white on the left."""
    path = tmp_path_factory.mktemp("frames")
    for index in range(FRAMES):
        frame(index, (64, 64)).save(path / f"{index}.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save(path.parent / "mask.png")
    return path


def encoded(animator, images) -> torch.Tensor:
    return torch.cat([encode_frame(animator.pipeline.vae, image, torch.device("cpu")) for image in images])


def source_latents(animator) -> torch.Tensor:
    return encoded(animator, [frame(index, (64, 64)) for index in range(FRAMES)])


def test_encode_gives_what_the_vae_thinks_likeliest_in_the_units_of_the_unet(animator):
    vae, image = animator.pipeline.vae, frame(1, (64, 64))
    pixels = torch.from_numpy(np.asarray(image, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor
    torch.testing.assert_close(encode_frame(vae, image, torch.device("cpu")), expected)


def test_clip_from_a_video_equals_diffusers_own_for_one_window(animator, folder):
    ours = animator.generate("a circle", video_path=folder, denoising_strength=0.5, **QUICK)
    peer = AnimateDiffVideoToVideoPipeline(**parts_of(animator))
    peer.scheduler.set_timesteps(QUICK["steps"])
    first = peer.scheduler.timesteps[2:3]
    noisy = peer.scheduler.add_noise(source_latents(animator), noise_of(1, FRAMES), first)
    peer.prepare_latents = lambda *_given, **_named: as_clip(noisy)  # its own noise is drawn in another order
    theirs = peer(
        video=[frame(index, (64, 64)) for index in range(FRAMES)],
        prompt="a circle",
        strength=0.5,
        num_inference_steps=QUICK["steps"],
        guidance_scale=QUICK["cfg_scale"],
        output_type="latent",
    ).frames
    torch.testing.assert_close(ours.latents, as_rows(theirs), rtol=1e-3, atol=1e-3)


def test_the_lower_the_strength_the_nearer_the_source(animator, folder):
    start = source_latents(animator)
    clips = [
        animator.generate("a", video_path=folder, denoising_strength=strength, **QUICK)
        for strength in (0.25, 0.5, 1.0)
    ]
    distances = [float((clip.latents - start).norm()) for clip in clips]
    assert distances == sorted(distances)


def test_number_of_frames_and_steps_are_those_of_the_source_and_the_strength(animator, folder):
    clip = animator.generate("a", video_path=folder, video_stride=2, denoising_strength=0.5, **QUICK)
    assert clip.latents.shape[0] == 2
    assert clip.session.windows_begun == clip.session.total_windows == 2
    assert "Steps: 4" in clip.infotext
    assert "Denoising strength: 0.5" in clip.infotext


def test_mask_keeps_what_is_black(animator, folder):
    mask = folder.parent / "mask.png"
    for sampler in ("DDIM", "Euler a", "Heun", "DPM++ 2M"):
        asked = {**QUICK, "sampler_name": sampler}
        clip = animator.generate("a", video_path=folder, mask_path=mask, **asked)
        start = source_latents(animator)
        torch.testing.assert_close(clip.latents[..., 4:], start[..., 4:])
        assert (clip.latents[..., :4] - start[..., :4]).abs().mean() > 0.05


def test_init_image_fades_from_frame_to_frame_and_the_last_frame_comes():
    init, noise, last = torch.ones(1, 4, 8, 8), torch.zeros(5, 4, 8, 8), 3 * torch.ones(1, 4, 8, 8)
    fading = Start(init, 0.5).for_noise(noise, InitImage(power=1, scale=4))
    assert fading[:, 0, 0, 0].tolist() == [1, 0.75, 0.5, 0.25, 0]
    both = Start(init, 0.5, last).for_noise(noise, InitImage(power=1, scale=2, last_power=1, last_scale=2))
    assert both[:, 0, 0, 0].tolist() == [1, 0.5, 0, 1.5, 3]
    kept = Start(init, 0.5, masks=torch.zeros(5, 1, 8, 8)).for_noise(noise, InitImage(power=1, scale=4))
    assert (kept == 1).all()


def test_init_image_and_last_frame_make_another_clip(animator, folder):
    quick = {**QUICK, "video_length": 4, "batch_size": 4, "denoising_strength": 0.5}
    first = animator.generate("a", init_image=folder / "0.png", **quick)
    both = animator.generate("a", init_image=frame(0, (64, 64)), last_frame=folder / "3.png", **quick)
    assert not torch.allclose(first.latents[3], both.latents[3], atol=1e-2)


@pytest.mark.parametrize(
    "extras", [{"freeinit_enable": True, "freeinit_iters": 2}, {"closed_loop": "Seamless"}]
)
def test_windows_loops_and_freeinit_go_with_a_source(animator, tmp_path, extras):
    for index in range(10):
        frame(index % 6, (64, 64)).save(tmp_path / f"{index}.png")
    asked = {"video_path": tmp_path, "batch_size": 4, "denoising_strength": 0.5, **extras}
    clip = animator.generate("0: a\n5: b", **QUICK, **asked)
    assert clip.latents.shape[0] == 10
    assert torch.isfinite(clip.latents).all()
    assert clip.session.windows_begun == clip.session.total_windows


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"mask_path": "{mask}"}, "nothing that stays outside of it"),
        ({"last_frame": frame(0)}, "last_frame is given without init_image"),
        ({"video_path": "{folder}", "init_image": frame(0)}, "init_image and a source video are both given"),
        ({"video_path": "{folder}", "denoising_strength": 0.1}, "leaves none of 4 steps"),
        ({"video_path": "{folder}", "denoising_strength": 1.1}, "denoising_strength is 1.1, but must be"),
        ({"video_path": "{folder}", "video_start": 4}, "none is left from frame 4"),
        ({"video_path": "{folder}", "mask_path": "none.png"}, "none.png is not an existing file"),
        ({"init_image": "none.png"}, "none.png is not an existing file"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_sentence_before_anything_is_sampled(animator, folder, asked, words):
    places = {"mask": folder.parent / "mask.png", "folder": folder}
    values = {key: each.format(**places) if isinstance(each, str) else each for key, each in asked.items()}
    with pytest.raises(UserError, match=words):
        animator.generate("a", **QUICK, **values)


def test_a_file_that_is_gone_by_the_time_it_is_read_is_one_sentence(animator, tmp_path):
    for index in range(FRAMES):
        frame(index, (64, 64)).save(tmp_path / f"{index}.png")
    with pytest.raises(UserError, match="damaged"):
        animator.generate(
            "a", video_path=tmp_path, on_start=lambda _: (tmp_path / "2.png").write_bytes(b"x"), **QUICK
        )
    assert animator.generate("a", seed=1, steps=1).latents.isfinite().all()


def test_stop_while_the_source_is_read_makes_nothing(animator, folder):
    with pytest.raises(UserError, match="nothing was made"):
        animator.generate("a", video_path=folder, on_start=lambda session: session.stop(), **QUICK)


def test_video_of_the_clip_has_the_sources_rate_and_sound(animator, tmp_path):
    path = tmp_path / "source.mp4"
    picture, tone = "testsrc=size=64x64:rate=30000/1001:duration=0.3", "sine=duration=0.3"
    run_ffmpeg(["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-pix_fmt", "yuv420p", str(path)])
    clip = animator.generate("a", video_source=path, format=["MP4"], **QUICK)
    written = clip.save(tmp_path)[0]
    with av.open(str(written.path)) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
        assert container.streams.video[0].frames == clip.plan.num_frames
        assert len(container.streams.audio) == 1
