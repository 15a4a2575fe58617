"""Checkpoints in every form that users have them in give the same pictures."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers import checkpoint as models
from animatediff_webui.hosts.diffusers.checkpoint import describe_checkpoint, load_pipeline
from motion_module import MotionModuleError
from standalone import Animator, ModelOptions
from tests.hosts.diffusers.single_file import write_single_file

SETTINGS = {"seed": 1, "steps": 2, "video_length": 2, "batch_size": 2}


@pytest.fixture
def single_file(animator, checkpoint, tmp_path, monkeypatch):
    """The stand-in as one file; the configurations in use are its own."""
    for part in ("unet", "vae", "text_encoder", "scheduler", "model_index.json"):
        source, target = checkpoint / part, tmp_path / "sd15" / part
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    monkeypatch.setattr(models, "CONFIGURATIONS", tmp_path)
    return write_single_file(animator.pipeline, tmp_path / "single.safetensors")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_single_file_has_the_very_weights_of_the_folder_it_was_made_from(part, animator, single_file):
    single = Animator(checkpoint=single_file, motion_module="none").pipeline
    expected, found = (getattr(each, part).state_dict() for each in (animator.pipeline, single))
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def test_a_single_file_draws_the_clip_of_the_folder_it_was_made_from(animator, single_file, module_file):
    single = Animator(checkpoint=single_file, motion_module=module_file)
    clip, same = (each.generate("a circle", **SETTINGS) for each in (animator, single))
    torch.testing.assert_close(same.latents, clip.latents, atol=1e-2, rtol=0)


def test_a_vae_of_its_own_decodes_in_place_of_the_checkpoints(animator, checkpoint, module_file):
    other = Animator(checkpoint=checkpoint, motion_module=module_file, vae=checkpoint / "vae")
    clip, same = (next(each.generate("a", **SETTINGS).frames()) for each in (animator, other))
    assert clip.tobytes() == same.tobytes()


@pytest.mark.parametrize("name", ["damaged.safetensors", "other.safetensors", "old.ckpt"])
def test_a_single_file_that_is_no_checkpoint_is_refused_by_name(name, tmp_path):
    path = tmp_path / name
    if name == "other.safetensors":
        save_file({"weight": torch.zeros(1)}, path)
    else:
        path.write_bytes(b"no tensors here, at all")
    with pytest.raises((UserError, MotionModuleError), match=name):
        _ = Animator(checkpoint=path, motion_module="none").pipeline


@pytest.mark.parametrize(("kind", "size"), [("sd15", 64), ("sdxl", 128)])
def test_the_shipped_configurations_describe_the_real_models(kind, size):
    unet = json.loads((models.CONFIGURATIONS / kind / "unet" / "config.json").read_text())
    assert unet["sample_size"] == size
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        network = UNet2DConditionModel.from_config(unet)
    parameters = sum(weight.numel() for weight in network.parameters())
    assert parameters == {"sd15": 859_520_964, "sdxl": 2_567_463_684}[kind]


def test_the_size_is_known_without_loading_the_checkpoint(checkpoint):
    assert describe_checkpoint(checkpoint).own_size == 64


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "tpu"}, "must be auto, cuda, mps or cpu"),
        ({"dtype": "float8"}, "must be one of auto"),
        ({"offload": "model", "device": "cpu"}, "leave it out"),
        ({"offload": "most"}, "must be one of none"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(options, words, checkpoint):
    with pytest.raises(UserError, match=words):
        load_pipeline(ModelOptions(checkpoint=checkpoint, **options), describe_checkpoint(checkpoint))


def test_vae_tiling_slicing_and_freeu_are_passed_on(checkpoint, module_file, animator):
    tuned = Animator(
        checkpoint=checkpoint, motion_module=module_file, vae_tiling=True, vae_slicing=True,
        freeu=(0.9, 0.2, 1.5, 1.6),
    )  # fmt: skip
    assert tuned.pipeline.vae.use_tiling
    assert tuned.pipeline.vae.use_slicing
    clip, plain = (each.generate("a circle", **SETTINGS) for each in (tuned, animator))
    assert not torch.equal(clip.latents, plain.latents)


def test_a_path_of_letters_that_the_system_cannot_say_is_refused_with_what_to_set(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "bad\udcff")
    with pytest.raises(UserError, match="set PYTHONUTF8=1") as refused:
        describe_checkpoint(folder)
    str(refused.value).encode("utf-8")


def test_a_tokenizer_without_words_is_refused_rather_than_deaf(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    for path in (folder / "tokenizer").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="holds no vocabulary"):
        _ = Animator(checkpoint=folder, motion_module="none").pipeline
