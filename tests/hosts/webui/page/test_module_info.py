import json

import pytest
import torch
from safetensors.torch import save_file

from animatediff_webui.hosts.webui.page.module_info import (
    checkpoint_base_model,
    describe_module,
    fit_warning,
    read_spec,
)
from motion_module import BaseModel, MotionModule, MotionModuleSpec, NotAMotionModuleError

SPEC = MotionModuleSpec(widths=(32, 64, 96, 96))


@pytest.fixture(params=["safetensors", "ckpt"])
def module_file(request, tmp_path):
    path = tmp_path / f"v3_sd15_mm.{request.param}"
    weights = {key: tensor.contiguous() for key, tensor in MotionModule(SPEC).state_dict().items()}
    if request.param == "safetensors":
        save_file(weights, path)
    else:
        torch.save({"state_dict": weights}, path)
    return path


def checkpoint(tmp_path, num_blocks):
    path = tmp_path / "checkpoint.safetensors"
    save_file(
        {f"model.diffusion_model.input_blocks.{index}.0.bias": torch.zeros(1) for index in range(num_blocks)},
        path,
    )
    return path


def test_spec_read_from_shapes_is_the_modules(module_file):
    spec = read_spec(module_file)
    assert (spec.base_model, spec.widths, spec.max_context_length) == (
        BaseModel.SD15,
        SPEC.widths,
        SPEC.max_context_length,
    )


def test_info_names_family_base_model_and_frames(module_file):
    text = describe_module("a", module_file, BaseModel.SD15).to_html()
    assert "AnimateDiff v3" in text
    assert "SD1.5" in text
    assert 'data-frames="16"' in text
    assert "warning" not in text


def test_info_warns_when_the_checkpoint_is_of_another_kind(module_file):
    text = describe_module("a", module_file, BaseModel.SDXL).to_html()
    assert "for SD1.5, but the checkpoint is SDXL" in text


def test_fit_warning_is_silent_when_the_checkpoint_is_unknown():
    assert fit_warning(SPEC, None) == ""


def test_info_of_another_file_says_what_it_is(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    info = describe_module("other", path)
    assert info.spec is None
    assert "not a motion module" in info.warning


@pytest.mark.parametrize("data", [b"", b"x" * 40, (30).to_bytes(8, "little") + b'{"a": 1' + b" " * 23])
def test_reading_a_damaged_file_raises_one_sentence(tmp_path, data):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(data)
    with pytest.raises(NotAMotionModuleError):
        read_spec(path)


def test_info_escapes_what_a_file_says_about_itself(tmp_path):
    path = tmp_path / "<b>.safetensors"
    save_file({"<script>": torch.zeros(1)}, path)
    assert "<script>" not in describe_module(path.name, path).to_html()


@pytest.mark.parametrize(("num_blocks", "expected"), [(12, BaseModel.SD15), (9, BaseModel.SDXL), (3, None)])
def test_checkpoint_is_told_by_the_number_of_its_blocks(tmp_path, num_blocks, expected):
    assert checkpoint_base_model(checkpoint(tmp_path, num_blocks)) is expected


def test_checkpoint_of_another_format_is_unknown(tmp_path):
    path = tmp_path / "model.ckpt"
    path.write_bytes(json.dumps({}).encode())
    assert checkpoint_base_model(path) is None
