"""Callers who mean harm, know no better, or come several at once."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers import timings
from animatediff_webui.media import MediaError
from standalone import Animator, ModelOptions

ROOT = Path(__file__).resolve().parents[3]
SMALL = {"seed": 1, "steps": 1, "video_length": 2, "batch_size": 2}

WRONG = [
    ("prompt", None), ("prompt", 5), ("prompt", b"a"), ("prompt", ["a"]), ("prompt", ""), ("prompt", "  "),
    ("prompt", "a \udcff"), ("negative_prompt", 5), ("negative_prompt", ["a"]), ("steps", "4"),
    ("steps", 2.5), ("steps", [2]), ("steps", 0), ("steps", True), ("cfg_scale", "7"), ("cfg_scale", 1j),
    ("cfg_scale", float("nan")), ("seed", "1"), ("seed", 1.5), ("seed", True), ("seed", 2**63),
    ("seed", 10**5000), ("seed", np.array(3)), ("width", "64"), ("width", 65), ("width", 10**9),
    ("clip_skip", "1"), ("clip_skip", 3), ("clip_skip", 13), ("sampler_name", 5), ("sampler_name", b"Euler"),
    ("scheduler", 5), ("on_window", 5), ("on_start", "x"), ("on_preview", 5), ("preview_every", 0),
    ("model", "x.ckpt"), ("enable", False), ("beta_schedule", 5), ("format", 5), ("format", []),
    ("image", {}), ("animation", {}), ("nonsense", 1), ("video_length", 10**9), ("batch_size", 10**18),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=range(len(WRONG)))
def test_generate_refuses_what_is_none_by_name_and_in_one_sentence(name, value, animator):
    prompt, said = ("a", {name: value}) if name != "prompt" else (value, {})
    with pytest.raises(UserError) as refused:
        animator.generate(prompt, **{**SMALL, **said})
    sentence = str(refused.value)
    sentence.encode()
    assert len(sentence.splitlines()) == 1
    assert len(sentence) < 2000


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 1.0), ("seed", np.int64(1)), ("width", 64.0), ("cfg_scale", np.float32(7))]
)
def test_generate_takes_numbers_of_other_libraries(name, value, animator):
    plain = animator.generate("a", **SMALL)
    assert torch.equal(animator.generate("a", **{**SMALL, name: value}).latents, plain.latents)


@pytest.mark.parametrize(
    "keywords",
    [
        {"checkpoint": 5}, {"motion_module": 5}, {"device": "tpu0"}, {"loras": ["x"]}, {"loras": 5},
        {"lora_folders": "/tmp"}, {"lora_folders": 5}, {"freeu": "x"}, {"freeu": (1, 2, 3)}, {"nope": 1},
        {"dtype": "f8"}, {"vae": b"x"}, {"offload": 3}, {"vae_tiling": "x"}, {"title": 5}, {"checkpoint": ""},
        {"motion_module": " "}, {"vae": ""}, {"checkpoint": "https://example.org/a.safetensors"},
    ],
    ids=str,
)  # fmt: skip
def test_animator_refuses_what_is_none(keywords, checkpoint):
    with pytest.raises(UserError) as refused:
        Animator(**{"checkpoint": checkpoint, "motion_module": "none", **keywords}).generate("a", **SMALL)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "folder",
    ["/proc/nope", "/dev/null", None, 5, "a\0b", "x" * 300, "x" * 5000, b"x", "", "http://example.org/x"],
    ids=lambda folder: str(folder)[:10],
)
def test_save_refuses_what_is_no_folder(folder, animator):
    clip = animator.generate("a", **SMALL)
    with pytest.raises(MediaError) as refused:
        clip.save(folder)
    assert len(str(refused.value).splitlines()) == 1


def test_save_refuses_options_that_are_none(animator, tmp_path):
    with pytest.raises(MediaError, match="must be WriterOptions"):
        animator.generate("a", **SMALL).save(tmp_path, {"mp4_crf": 5})


def test_clip_skip_takes_the_layer_before_and_leaves_no_hook(animator):
    encoder = animator.pipeline.text_encoder
    first, second, again = (
        animator.generate("a circle", **SMALL, clip_skip=skip).latents for skip in (1, 2, 1)
    )
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
    assert not any(layer._forward_hooks for layer in encoder.modules())


def test_clip_skip_is_what_transformers_says_the_layer_gives(animator):
    from animatediff_webui.hosts.diffusers.text_encoders import text_encoders

    (encoder,) = text_encoders(animator.pipeline)
    reference = copy.deepcopy(encoder.model)
    tokens = encoder.tokenizer(
        "a circle", padding="max_length", max_length=encoder.max_tokens, truncation=True, return_tensors="pt"
    )
    with torch.inference_mode():
        hidden = reference(tokens.input_ids, output_hidden_states=True).hidden_states[-2]
        norm = getattr(reference, "text_model", reference).final_layer_norm
        found, _ = encoder.encode("a circle", 2, torch.device("cpu"))
        torch.testing.assert_close(found, norm(hidden)[0])


def test_more_layers_than_there_are_cannot_be_skipped(animator):
    with pytest.raises(UserError, match="has layers for 1 to 2"):
        animator.generate("a", **SMALL, clip_skip=12)


@pytest.mark.slow
def test_threads_that_share_an_animator_get_the_clips_that_each_would_alone(checkpoint, module_file):
    """A new one, so that they also come at once to load it."""
    shared = Animator(checkpoint=checkpoint, motion_module=module_file)
    found: dict[int, list[bytes]] = {}

    def make(seed: int) -> None:
        clip = shared.generate("a circle", seed=seed, steps=3, video_length=3, batch_size=2)
        found[seed] = [frame.tobytes() for frame in clip.frames()]

    threads = [threading.Thread(target=make, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = dict(found)
    for seed in range(4):
        make(seed)
    assert together == found


def test_a_clip_inside_a_clip_is_refused(animator):
    with pytest.raises(UserError, match="in the middle of a clip"):
        animator.generate("a", **SMALL, on_window=lambda *_: animator.generate("b", **SMALL))
    assert animator.generate("a", **SMALL).latents.isfinite().all()


@pytest.mark.slow
def test_libraries_say_nothing_to_callers(checkpoint, module_file, tmp_path):
    code = (
        "from standalone import Animator\n"
        f"animator = Animator(checkpoint={str(checkpoint)!r}, motion_module={str(module_file)!r})\n"
        f"animator.generate('a <lora:none:1>' * 0 + 'a', **{SMALL}).save({str(tmp_path)!r})\n"
        "try:\n"
        f"    Animator(checkpoint={str(checkpoint)!r}, vae={str(module_file)!r}).pipeline\n"
        "except ValueError:\n"
        "    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("", "")


DAMAGED_TIMINGS = (
    "", "nul", "[]", "5", "[" * 100_000, '{"KEY": 5}', '{"KEY": [5]}', '{"KEY": [{}]}',
    '{"KEY": [{"seconds_per_frame": "x", "peak_memory": 1}]}',
    '{"KEY": [{"seconds_per_frame": 1e999, "peak_memory": 1}]}',
    '{"KEY": [{"seconds_per_frame": NaN, "peak_memory": 1}]}',
    '{"KEY": [{"seconds_per_frame": 1, "peak_memory": ' + "9" * 400 + "}]}",
)  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED_TIMINGS, ids=lambda content: content[:20])
def test_a_damaged_file_of_timings_costs_a_guess_and_nothing_else(content, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    key = timings.RunKey("model", "cpu", "float32", 64, 64)
    path = tmp_path / "animatediff-webui" / "timings.json"
    path.parent.mkdir()
    path.write_text(content.replace("KEY", str(key)))
    assert timings.estimate_run(key, 10) is None
    timings.record_run(key, 10, 20.0, 2**30)
    found = timings.estimate_run(key, 5)
    assert found is not None
    assert (found.seconds, found.peak_memory, found.num_runs) == (10.0, 2**30, 1)


def test_timings_of_runs_with_networks_are_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plain = timings.RunKey("model", "cpu", "float32", 64, 64)
    steered = replace(plain, networks=("ControlNet", "IP-Adapter"))
    timings.record_run(steered, 10, 20.0, 0)
    assert timings.estimate_run(plain, 10) is None
    assert timings.estimate_run(steered, 10) is not None


@pytest.mark.parametrize("place", ["/proc/nope", "/dev/null", "\0", "x" * 5000])
def test_no_place_for_timings_costs_nothing(place, monkeypatch):
    key = timings.RunKey("model", "cpu", "float32", 64, 64)
    if "\0" in place:
        monkeypatch.setattr(timings, "_path", lambda: Path(place))
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", place)
    timings.record_run(key, 10, 20.0, 0)
    assert timings.estimate_run(key, 10) is None


def test_model_options_are_checked_whole():
    with pytest.raises(UserError, match="title is 5"):
        ModelOptions(checkpoint="a", title=5)
