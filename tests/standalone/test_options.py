"""Every option there is, and every one that the documentation names, is run and has its effect."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from animatediff_webui.core.infotext import public
from animatediff_webui.core.parameters import FIELDS, parse_parameters
from animatediff_webui.hosts.diffusers.image_settings import IMAGE_FIELDS
from animatediff_webui.hosts.diffusers.model_options import MODEL_FIELDS
from animatediff_webui.hosts.diffusers.settings import DEFAULTS, ELSEWHERE
from animatediff_webui.media import read_infotext, write_animation
from benchmarks.command_line import build_parser as build_benchmark_parser
from demo_model import evaluation
from motion_module.__main__ import build_parser as build_module_parser
from motion_module.__main__ import main as run_module
from standalone.command_line import main
from standalone.options import build_parser
from tests.core.arguments import VALUES
from tests.hosts.diffusers.guides.networks import fresh_controlnet, fresh_sparsectrl
from tests.infotexts import find_animation
from tests.media.clips import clip, frame
from tests.media.networks import write_network
from tests.standalone.test_guide_options import OPTIONS_OF_GUIDES

ROOT = Path(__file__).resolve().parents[2]
PICTURE = "animation-loop.png"
SMALL = ["--steps", "1", "--video-length", "2", "--batch-size", "2", "--format", "GIF", "--quiet"]
IMAGE_VALUES = {
    "negative_prompt": "blue", "steps": "3", "cfg_scale": "4.5", "sampler_name": "Euler a",
    "scheduler": "Uniform", "seed": "77", "width": "72", "height": "80", "clip_skip": "2",
    "init_image": str(ROOT / "docs" / "images" / PICTURE), "denoising_strength": "0.4",
}  # fmt: skip
SAID = {
    "negative_prompt": "Negative prompt: blue", "steps": "Steps: 3", "cfg_scale": "CFG scale: 4.5",
    "sampler_name": "Sampler: Euler a", "scheduler": "Schedule type: Uniform", "seed": "Seed: 77",
    "width": "Size: 72x80", "height": "Size: 72x80", "clip_skip": "Clip skip: 2",
    "init_image": "Denoising strength", "denoising_strength": "Denoising strength: 0.4",
}  # fmt: skip
"""What the infotext says of these values."""
OTHERS = {
    "beta_schedule": ["linear"], "lora": ["LORA:0.5"], "lora_dir": ["FOLDER"],
    "freeu": ["0.9", "0.2", "1.5", "1.6"], "checkpoint": ["CHECKPOINT"], "motion_module": ["MODULE"],
    "vae": ["CHECKPOINT/vae"], "device": ["cpu"],
    "dtype": ["bfloat16"], "offload": ["none"], "vae_tiling": None, "vae_slicing": None, "output": ["OUTPUT"],
    "interp_models": ["FOLDER", "--interp", "FILM"], "preview_every": ["1"], "quiet": None, "verbose": None,
}  # fmt: skip
"""Options that are no rows of the tables of picture and animation; None for those that take nothing."""
FILES = (
    "video_source",
    "video_path",
    "mask_path",
    "last_frame",
    "modules",
    "camera_model",
    "camera_motion",
    "camera_poses",
)
"""Options that name files, which have runs of their own."""
HOSTS_OWN = {
    "--always-low-vram", "--always-no-vram", "--gradio-allowed-path", "--lowvram", "--medvram",
    "--no-half-vae",
}  # fmt: skip
"""Options of the WebUI itself, and of its forks."""


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All options, also of sub-commands, but help."""
    found: list[argparse.Action] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [each for sub in action.choices.values() for each in actions_of(sub)]
        elif action.option_strings and action.dest != "help":
            found.append(action)
    return found


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in actions_of(parser) for option in action.option_strings}


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@pytest.fixture
def lora(tmp_path) -> Path:
    layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora"
    path = tmp_path / "loras" / "style.safetensors"
    path.parent.mkdir()
    save_file({f"{layer}.{end}.weight": torch.ones(shape) for end, shape in LOW_RANK.items()}, path)
    write_network(path.parent)
    return path


LOW_RANK = {"down": (2, 32), "up": (32, 2)}


@pytest.fixture
def models(checkpoint, module_file) -> list[str]:
    return ["--checkpoint", str(checkpoint), "--model", str(module_file)]


def infotext_in(folder: Path) -> str:
    (gif,) = (path for path in folder.rglob("*.gif") if path.name != "preview.gif")
    return read_infotext(gif) or ""


def test_every_option_of_the_command_line_has_a_run_here():
    names = {action.dest for action in actions_of(build_parser("generate"))}
    animation = {field.name for field in FIELDS} - set(ELSEWHERE)
    assert names == {*IMAGE_VALUES, *OTHERS, *OPTIONS_OF_GUIDES, *animation}
    assert {field.name for field in IMAGE_FIELDS} == IMAGE_VALUES.keys() == SAID.keys()
    assert {field.name for field in MODEL_FIELDS} <= OTHERS.keys()
    assert {field.name for field in FIELDS} == VALUES.keys()


def test_options_of_the_picture_arrive(models, tmp_path):
    asked = [word for name, value in IMAGE_VALUES.items() for word in (flag(name), value)]
    assert main(["a circle", *models, *SMALL, *asked, "--output", str(tmp_path)]) == 0
    infotext = infotext_in(tmp_path)
    assert [words for words in SAID.values() if words not in infotext] == []


def test_options_of_the_animation_arrive(models, tmp_path):
    left_out = {*ELSEWHERE, *FILES}
    values = {name: value for name, value in VALUES.items() if name not in left_out}
    options = list(as_options(values.items()))
    assert main(["a circle", *models, "--steps", "2", "--quiet", *options, "--output", str(tmp_path)]) == 0
    found = find_animation(infotext_in(tmp_path))
    assert found is not None
    expected = public(parse_parameters(values, defaults=DEFAULTS))
    assert found.parameters == replace(expected, model=found.parameters.model)


def test_options_that_name_files_are_followed(models, module_file, tmp_path, capsys):
    first, second = (tmp_path / f"{name}.safetensors" for name in ("first", "second"))
    for module in (first, second):
        module.write_bytes(module_file.read_bytes())
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(3):
        frame(index, (64, 64)).save(frames / f"{index}.png")
    written = write_animation(clip(3, (64, 64)), tmp_path / "clip", ["GIF"], fps=5)
    picture, small = str(frames / "0.png"), ["--steps", "2", "--format", "GIF", "--quiet"]
    starts = (
        ["--video-path", str(frames), "--mask", picture],
        ["--video-source", str(written[0].path), "--mask-path", str(frames), "--denoising-strength", "1"],
        ["--init-image", picture, "--last-frame", str(frames / "2.png"), "--video-length", "3"],
        ["--model", str(first), "--modules", "second.safetensors", "--video-length", "3"],
    )
    for start in starts:
        assert main(["a", *models, *small, *start, "--output", str(tmp_path / "output")]) == 0
        assert "error" not in capsys.readouterr().err


def as_options(values: Iterable[tuple[str, object]]) -> Iterable[str]:
    for name, value in values:
        if isinstance(value, bool):
            yield flag(name) if value else f"--no-{name.replace('_', '-')}"
        else:
            yield from (flag(name), ",".join(map(str, value)) if isinstance(value, list) else str(value))


@pytest.mark.parametrize("name", OTHERS)
def test_other_options_are_followed(name, checkpoint, module_file, lora, models, tmp_path, capsys):
    folder = tmp_path / "output"
    places = {
        "CHECKPOINT": checkpoint, "MODULE": module_file, "LORA": lora, "FOLDER": lora.parent, "OUTPUT": folder
    }  # fmt: skip
    words = [flag(name), *(OTHERS[name] or ())]
    for place, path in places.items():
        words = [word.replace(place, str(path)) for word in words]
    prompt = "a circle <lora:style:0.5>" if name == "lora_dir" else "a circle"
    small = [word for word in SMALL if word != "--quiet" or name == "quiet"]
    assert main([prompt, *models, *small, "--output", str(folder), *words]) == 0
    assert infotext_in(folder)
    assert ("Sampling" in capsys.readouterr().err) != (name == "quiet")


EVALUATIONS = (
    ["--clips", "1", "--without", "1", "--verbose"], ["--suite", "windows", "--seeds", "1"],
    ["--suite", "loops", "--seeds", "1"], ["--suite", "freeinit", "--seeds", "1"],
    ["--suite", "travel", "--seeds", "1"], ["--suite", "video", "--seeds", "1"],
    ["--suite", "control", "--seeds", "1"], ["--suite", "control-windows", "--seeds", "1"],
    ["--suite", "sparsectrl", "--seeds", "1"], ["--suite", "scale", "--seeds", "1"],
    ["--suite", "stop", "--seeds", "1"], ["--suite", "mask", "--seeds", "1"],
    ["--suite", "modules", "--seeds", "1"], ["--suite", "reference", "--seeds", "1"],
)  # fmt: skip


def test_every_option_of_the_evaluation_has_a_run_here():
    run = {word for words in (*EVALUATIONS, ["--output"]) for word in words if word.startswith("--")}
    assert flags_of(evaluation.build_parser()) == run
    suites = {words[1] for words in EVALUATIONS if words[0] == "--suite"}
    assert suites | {"prompts"} == set(evaluation.SUITES)


def write_motion_lora(path, module):
    """One that changes a layer of the motion module."""
    key = next(name for name in module.state_dict() if name.endswith("to_v.weight"))
    block, width = key.removesuffix(".to_v.weight"), module.state_dict()[key].shape[0]
    halves = {"down": torch.randn(2, width), "up": torch.randn(width, 2)}
    save_file({f"{block}.processor.to_v_lora.{half}.weight": weight for half, weight in halves.items()}, path)


class QuickAnimator:
    """Another animator in a hurry, with networks and LoRAs in `folder`."""

    def __init__(self, animator, folder):
        self.animator, self.options, self.folder = animator, animator.options, folder
        self.lora_folders = [folder]

    def image_settings(self, **settings):
        return self.animator.image_settings(**{**settings, "steps": 2})

    def generate(self, prompt, **settings):
        if "controlnet" in settings:
            settings["controlnet"] = self.folder / settings["controlnet"]
        if "sparsectrl" in settings:
            network = replace(settings["sparsectrl"], model=self.folder / "rgb")
            settings.update(sparsectrl=network, video_length=2)
        return self.animator.generate(prompt, **{**settings, "steps": 2})


@pytest.mark.slow
@pytest.mark.parametrize("words", EVALUATIONS, ids=" ".join)
def test_evaluations_print_figures_and_save_sheets(words, animator, tmp_path, monkeypatch, capsys):
    from demo_model import loading

    unet = animator.pipeline.unet
    fresh_controlnet(unet).save_pretrained(tmp_path / "outline")
    fresh_sparsectrl(unet).save_pretrained(tmp_path / "rgb")
    write_motion_lora(tmp_path / "drift_right.safetensors", animator.module)
    monkeypatch.setattr(loading, "load_animator", lambda **_: QuickAnimator(animator, tmp_path))
    assert main(["evaluate", *words, "--output", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 5
    assert list(tmp_path.glob("*.png"))


CONVERSIONS = (["--to", "diffusers"], ["--dtype", "fp16"], ["--output", "OUTPUT"])


def test_every_option_of_the_modules_command_line_is_run(module_file, tmp_path, capsys):
    assert flags_of(build_module_parser()) == {words[0] for words in CONVERSIONS}
    for index, (option, value) in enumerate(CONVERSIONS):
        target = tmp_path / f"{index}.safetensors"
        output = [] if option == "--output" else ["--output", str(target)]
        value = value.replace("OUTPUT", str(target))
        assert run_module(["convert", str(module_file), option, value, *output]) == 0
        assert run_module(["inspect", str(target)]) == 0
    assert "float16" in capsys.readouterr().out


def test_documentation_names_no_option_that_there_is_not():
    parsers = (
        build_parser("generate"), evaluation.build_parser(), build_module_parser(), build_benchmark_parser(),
    )  # fmt: skip
    known = set[str]().union(*map(flags_of, parsers))
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", path.read_text()))
        assert named - known - HOSTS_OWN - {"--help"} == set(), path.name
