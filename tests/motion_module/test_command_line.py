from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from motion_module.__main__ import main
from tests.fingerprints.published import motion_lora
from tests.motion_module.ldm_unet import SD15
from tests.motion_module.samples import HOTSHOT, V3, module_of, random_tensors, weights_of


@pytest.fixture
def v3_file(tmp_path):
    save_file({key: t.half() for key, t in weights_of(V3).items()}, tmp_path / "v3_sd15_mm.safetensors")
    return tmp_path / "v3_sd15_mm.safetensors"


def test_inspect_says_what_a_module_is_and_wants(v3_file, capsys):
    assert main(["inspect", str(v3_file)]) == 0
    lines = {line.strip() for line in capsys.readouterr().out.splitlines()}
    parameters = sum(tensor.numel() for tensor in module_of(V3).parameters())
    rows = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in lines}
    assert rows["family"] == "AnimateDiff v3"
    assert rows["base model"] == "SD1.5"
    assert rows["dtype"] == "float16"
    assert rows["parameters"] == f"{parameters:,}"
    assert rows["context length"] == "16, at most 32"
    assert rows["beta schedule"] == "linear"


def test_inspect_says_what_a_lora_is(tmp_path, capsys):
    save_file(random_tensors(motion_lora(4, SD15.widths)), tmp_path / "PanLeft.safetensors")
    assert main(["inspect", str(tmp_path / "PanLeft.safetensors")]) == 0
    assert "motion LoRA" in capsys.readouterr().out


def test_inspect_of_something_else_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    save_file({"weight": torch.zeros(1)}, tmp_path / "else.safetensors")
    assert main(["inspect", str(tmp_path / "else.safetensors")]) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith("else is not a motion module")
    assert streams.out == ""


def test_convert_to_diffusers_and_back_keeps_the_weights(v3_file, tmp_path, capsys):
    save_file(weights := weights_of(HOTSHOT), tmp_path / "hotshot.safetensors")
    assert main(["convert", str(tmp_path / "hotshot.safetensors"), "--dtype", "bf16"]) == 0
    written = load_file(tmp_path / "hotshot_official_bf16.safetensors")
    key = "up_blocks.2.motion_modules.2.temporal_transformer.proj_out.weight"
    assert written[key].equal(weights["up_blocks.2.temporal_attentions.2.proj_out.weight"].bfloat16())
    assert capsys.readouterr().out.strip().endswith("hotshot_official_bf16.safetensors")


def test_convert_overwrites_nothing(v3_file, capsys):
    before = v3_file.read_bytes()
    assert main(["convert", str(v3_file), "--to", "official", "--output", str(v3_file)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert v3_file.read_bytes() == before


@pytest.mark.slow
def test_module_runs_as_a_command(v3_file):
    command = [sys.executable, "-m", "motion_module", "inspect", str(v3_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "AnimateDiff v3" in done.stdout
