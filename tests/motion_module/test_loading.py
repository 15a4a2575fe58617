from __future__ import annotations

import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from motion_module import (
    BrokenMotionModuleError,
    MotionModuleError,
    NotAMotionModuleError,
    build_motion_module,
    load_motion_module,
    write_motion_module,
)
from motion_module.names import DIFFUSERS, OFFICIAL
from tests.fingerprints.published import MOTION_MODULES
from tests.motion_module.samples import BY_FILE, V1, V2, V3, module_of, weights_of

LAYER = "down_blocks.0.motion_modules.0.temporal_transformer"


def assert_loaded(module, tensors):
    state = module.state_dict()
    assert state.keys() == tensors.keys()
    assert all(state[key].equal(tensors[key].to(state[key].dtype)) for key in tensors)


@pytest.mark.parametrize("ending", ["safetensors", "ckpt", "pth", "pt", "bin"])
def test_file_of_any_ending_loads_as_it_was_saved(tmp_path, ending):
    path, tensors = tmp_path / f"v3_sd15_mm.{ending}", weights_of(V3)
    save_file(tensors, path) if ending == "safetensors" else torch.save(tensors, path)
    module = load_motion_module(path)
    assert_loaded(module, tensors)
    assert (module.name, module.spec.family) == ("v3_sd15_mm", "AnimateDiff v3")


@pytest.fixture
def checked_load(monkeypatch):
    """AUTOMATIC1111's check before PyTorch's own function: it reads the file, and says no by None."""
    load, refused = torch.load, set()

    def check_and_load(source, **kwargs):
        try:
            with zipfile.ZipFile(source) as archive:
                archive.read(archive.namelist()[0])
        except zipfile.BadZipFile:
            with open(source, "rb") as file:
                file.read()
        return None if source in refused else load(source, **kwargs)

    monkeypatch.setattr(torch, "load", check_and_load)
    return refused


@pytest.mark.parametrize("is_zip", [True, False])
def test_pickle_loads_where_a_host_checks_it_first(tmp_path, checked_load, is_zip):
    path, tensors = tmp_path / "v3_sd15_mm.ckpt", weights_of(V3)
    torch.save(tensors, path, _use_new_zipfile_serialization=is_zip)
    assert_loaded(load_motion_module(path), tensors)


def test_pickle_that_the_hosts_check_refuses_is_no_file_without_tensors(tmp_path, checked_load):
    path = tmp_path / "mm.ckpt"
    torch.save(weights_of(V3), path)
    checked_load.add(str(path))
    with pytest.raises(
        MotionModuleError, match=r"mm\.ckpt was not read: the WebUI's own check of PyTorch files refuses it"
    ):
        load_motion_module(path)


def test_safetensors_under_a_wrong_ending_load(tmp_path):
    save_file(weights_of(V3), tmp_path / "mm.ckpt")
    assert_loaded(load_motion_module(tmp_path / "mm.ckpt"), weights_of(V3))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: {"state_dict": tensors, "epoch": 3, "global_step": 100},
        lambda tensors: {"module": tensors},
        lambda tensors: {f"module.{key}": tensor for key, tensor in tensors.items()},
        lambda tensors: {"state_dict": {f"module.unet.{key}": tensor for key, tensor in tensors.items()}},
        lambda tensors: tensors | {"down_blocks.0.resnets.0.conv1.weight": torch.zeros(1), "step": 5},
    ],
    ids=["state_dict", "module", "prefix", "both", "unet keys"],
)
def test_wrapped_checkpoint_loads_as_the_bare_one(tmp_path, wrap):
    tensors = weights_of(V2)
    torch.save(wrap(tensors), tmp_path / "mm.ckpt")
    assert_loaded(load_motion_module(tmp_path / "mm.ckpt"), tensors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_is_the_files_unless_one_is_asked_for(tmp_path, dtype):
    save_file({key: tensor.to(dtype) for key, tensor in weights_of(V3).items()}, tmp_path / "mm.safetensors")
    assert {t.dtype for t in load_motion_module(tmp_path / "mm.safetensors").state_dict().values()} == {dtype}
    asked = load_motion_module(tmp_path / "mm.safetensors", dtype=torch.float32)
    assert {t.dtype for t in asked.state_dict().values()} == {torch.float32}


def test_float8_weights_are_run_in_float16():
    tensors = {key: tensor.to(torch.float8_e4m3fn) for key, tensor in weights_of(V3).items()}
    assert build_motion_module(tensors).down_blocks[0].motion_modules[
        0
    ].temporal_transformer.proj_in.weight.dtype == (torch.float16)


def test_pia_keeps_its_input_convolution():
    pia = BY_FILE["pia"]
    assert module_of(pia).state_dict()["conv_in.weight"].equal(weights_of(pia)["conv_in.weight"])


def test_missing_key_is_named():
    tensors = weights_of(V3)
    del tensors[f"{LAYER}.transformer_blocks.0.attention_blocks.1.to_k.weight"]
    with pytest.raises(
        BrokenMotionModuleError, match=rf"1 of its \d+ .*{LAYER}\S+attention_blocks\.1\.to_k\.weight"
    ):
        build_motion_module(tensors, "cut")


def test_missing_up_blocks_are_named():
    tensors = {key: tensor for key, tensor in weights_of(V3).items() if not key.startswith("up_blocks")}
    with pytest.raises(BrokenMotionModuleError, match=r"up_blocks\.0"):
        build_motion_module(tensors, "cut")


def test_wrong_shape_is_named_with_both_shapes():
    tensors = weights_of(V3) | {f"{LAYER}.proj_out.weight": torch.zeros(32, 31)}
    with pytest.raises(BrokenMotionModuleError, match=rf"{LAYER}\.proj_out\.weight has the shape \(32, 31\)"):
        build_motion_module(tensors, "bent")


def test_key_of_another_programs_layer_is_named():
    tensors = weights_of(V3) | {f"{LAYER}.camera.weight": torch.zeros(3)}
    with pytest.raises(BrokenMotionModuleError, match=rf"{LAYER}\.camera\.weight"):
        build_motion_module(tensors, "camera")


def test_levels_of_no_base_model_are_refused():
    tensors = {
        key: t for key, t in weights_of(V3).items() if not key.startswith(("down_blocks.3", "up_blocks"))
    }
    tensors = {key: t for key, t in tensors.items() if not key.startswith("down_blocks.2")}
    with pytest.raises(BrokenMotionModuleError, match="2 levels"):
        build_motion_module(tensors, "cut")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "an image checkpoint"),
        ("first_stage_model.encoder.conv_in.weight", "a VAE"),
        ("control_model.input_hint_block.0.weight", "a ControlNet"),
        ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "a LoRA"),
    ],
)
def test_other_kind_of_file_is_named(key, kind):
    with pytest.raises(NotAMotionModuleError, match=kind):
        build_motion_module({key: torch.zeros(1)}, "file")


def test_file_of_nothing_known_is_told_what_was_tried():
    with pytest.raises(NotAMotionModuleError, match=r"tried: official, HotShot-XL, diffusers"):
        build_motion_module({"weight": torch.zeros(1)}, "file")


def test_pickle_that_would_run_code_is_refused_unopened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    path = tmp_path / "mm.ckpt"
    torch.save({"state_dict": {"x": torch.zeros(1)}, "bomb": Bomb()}, path, pickle_module=pickle)
    with pytest.raises(NotAMotionModuleError, match="get a safetensors version"):
        load_motion_module(path)
    assert not tmp_path.joinpath("exploded").exists()


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_broken_off_download_is_said_to_be_damaged(tmp_path, ending):
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    save_file(weights_of(V3), whole) if ending == "safetensors" else torch.save(weights_of(V3), whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(NotAMotionModuleError, match="damaged"):
        load_motion_module(cut)


def test_web_page_saved_as_a_model_is_refused(tmp_path):
    (tmp_path / "mm.ckpt").write_text("<!DOCTYPE html><html>")
    with pytest.raises(NotAMotionModuleError, match="neither a safetensors nor a PyTorch file"):
        load_motion_module(tmp_path / "mm.ckpt")


def test_absent_file_is_named(tmp_path):
    with pytest.raises(MotionModuleError, match=r"There is no file \S+nothing\.ckpt"):
        load_motion_module(tmp_path / "nothing.ckpt")


@pytest.mark.parametrize("naming", [OFFICIAL, DIFFUSERS], ids=lambda naming: naming.name)
@pytest.mark.parametrize("published", MOTION_MODULES, ids=lambda p: p.file_name)
def test_written_module_is_the_same_when_loaded_again(tmp_path, published, naming):
    module = module_of(published)
    if naming is DIFFUSERS:  # it has room for one encoding, as all published files have
        for layer in module.layers().values():
            first, second = layer.temporal_transformer.transformer_blocks[0].attention_blocks
            second.pos_encoder.pe = first.pos_encoder.pe.clone()
    write_motion_module(module, tmp_path / "mm.safetensors", naming=naming)
    again = load_motion_module(tmp_path / "mm.safetensors")
    assert again.spec == module.spec
    assert_loaded(again, module.state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mm.safetensors"]


def test_different_encodings_of_two_attentions_do_not_become_one(tmp_path):
    with pytest.raises(MotionModuleError, match="they differ"):
        write_motion_module(module_of(V1), tmp_path / "mm.safetensors", naming=DIFFUSERS)
    assert not list(tmp_path.iterdir())
