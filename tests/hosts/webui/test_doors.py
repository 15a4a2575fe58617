from __future__ import annotations

import gc
import importlib.util
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from animatediff_webui.core.windows import Window
from animatediff_webui.hosts.webui.controlnet import sparsectrl
from animatediff_webui.hosts.webui.placement import on_device, whole_layers
from motion_module import MotionModule, MotionModuleError, MotionModuleSpec

ROOT = Path(__file__).parents[3]


@pytest.fixture
def library(host, tmp_path):
    return host.extension.ModuleLibrary(lambda: [tmp_path, tmp_path / "other"])


def test_modules_are_listed_with_sub_folders_in_natural_order(library, tmp_path):
    for name in ("v10.ckpt", "v2.ckpt", "sub/v1.safetensors", "readme.txt", "other/v2.ckpt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert library.names() == ["other/v2.ckpt", "sub/v1.safetensors", "v2.ckpt", "v10.ckpt"]
    assert library.find("v2.ckpt")[1] == tmp_path / "v2.ckpt"


@pytest.mark.parametrize("name", ["mm.safetensors", "mm", "MM.safetensors", "mm.safetensors [0123456789]"])
def test_module_is_found_by_what_people_write(library, tmp_path, name):
    (tmp_path / "mm.safetensors").write_bytes(b"")
    assert library.find(name)[0] == "mm.safetensors"


def test_empty_list_says_where_to_put_a_module(library, tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        library.load(None)


def test_first_of_the_list_that_is_a_module_is_the_default(webui):
    assert webui.extension.modules.names()[0] == "broken.ckpt"
    assert webui.extension.modules.load(None).name == "mm.safetensors"
    with pytest.raises(MotionModuleError, match="broken"):
        webui.extension.modules.load("broken.ckpt")


def test_module_can_be_moved_and_removed(webui):
    modules = webui.extension.modules
    name = modules.load("mm").name
    modules.move_to_cpu()
    assert modules.loaded(name) is not None
    modules.unload()
    assert modules.loaded(name) is None


def test_layers_are_moved_one_by_one_where_the_host_does_so():
    module = MotionModule(MotionModuleSpec(widths=(32, 32, 32, 32)))
    moves = []
    for layer in module.layers().values():
        layer.to = lambda device, layer=layer: moves.append((layer, device))
    with on_device(module, torch.device("cpu"), layer_by_layer=True), module.frames(2):
        first = next(iter(module.layers().values()))
        first.register_buffer("elsewhere", torch.empty(1, device="meta"))
        first(torch.zeros(2, 32, 4, 4))
    assert moves == [(first, torch.device("cpu")), (first, "cpu")]
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())


def test_of_a_layer_that_is_mostly_there_only_the_rest_is_moved():
    """Hosts that are short of memory bring weights alone to the device."""
    module = MotionModule(MotionModuleSpec(widths=(32, 32, 32, 32)))
    first, *_ = module.layers().values()
    part = nn.Module()
    part.register_buffer("elsewhere", torch.empty(1, device="meta"))
    first.part, moves = part, []
    for each in first.modules():
        each.to = lambda device, each=each: moves.append((each, device))
    with whole_layers(module), module.frames(2):
        first(torch.zeros(2, 32, 4, 4))
    assert moves == [(part, torch.device("cpu")), (part, "cpu")]


def test_controlnet_learns_of_a_run_and_of_none(webui):
    p = webui.request({"video_length": 8})
    argument = webui.host.argument.find_run(p)
    assert (argument.enable, argument.video_length, argument.batch_size) == (True, 8, 4)
    assert argument.closed_loop == "R-P"
    argument.is_i2i_batch = True
    assert webui.host.argument.find_run(webui.request([False])) is None
    assert webui.host.argument.find_run(webui.request({"fps": 0})) is None


def test_controlnets_embeddings_are_blended_between_its_keyframes(host):
    scheduler = host.argument.PromptScheduler()
    scheduler.prompt_map = {0: "", 4: ""}
    rows = torch.zeros(6, 2, 3)
    rows[0], rows[4] = 1.0, 3.0
    blended = scheduler.multi_cond(rows, False)
    assert torch.equal(blended[0], rows[0])
    assert torch.equal(blended[5], rows[4])
    assert blended[2].mean() == pytest.approx(2.0)


def test_sparsectrl_layers_load_by_their_names_and_know_the_frames():
    wrapper = sparsectrl.MotionWrapper("", "", sparsectrl.MotionModuleType.SparseCtrl)
    wrapper.load_state_dict(wrapper.state_dict(), strict=True)
    layer = wrapper.down_blocks[0].motion_modules[1]
    del wrapper  # as ControlNet does, which keeps its layers alone
    gc.collect()
    assert layer(torch.zeros(3, 320, 2, 2)).shape == (3, 320, 2, 2)  # pictures, without a clip
    with sparsectrl.framed_encoders(Window((3, 4), (1.0, 1.0))):
        assert layer(torch.zeros(4, 320, 2, 2)).shape == (4, 320, 2, 2)


def write_pictures(folder, colours):
    folder.mkdir()
    for index, colour in enumerate(colours):
        Image.new("RGB", (64, 64), colour).save(folder / f"{index}.png")


def batch(webui, values, folder, masks=""):
    p = webui.request(values, is_img2img=True, init_images=[None])
    webui.host.shared.state.begin()
    return p, webui.host.batch.animate_folder(p, str(folder), "", str(masks), ())


def test_folder_of_the_batch_tab_becomes_one_clip(webui, tmp_path):
    write_pictures(tmp_path / "in", ["red", "green", "blue", "white", "black", "red"])
    _, processed = batch(webui, {"format": ["GIF", "Frame"]}, tmp_path / "in")
    video, *frames = processed.images
    assert isinstance(video, str)
    assert len(frames) == 6


def test_masks_of_the_batch_tab_belong_to_their_frames(webui, tmp_path):
    write_pictures(tmp_path / "in", ["red", "lime", "blue", "white"])
    write_pictures(tmp_path / "masks", ["black", "white", "black", "white"])
    p, _ = batch(webui, {}, tmp_path / "in", tmp_path / "masks")
    kept = (p.last_samples - p.init_latent).abs().mean((1, 2, 3))
    assert kept[0] == kept[2] == 0
    assert min(kept[1], kept[3]) > 0


def test_missing_folder_of_the_batch_tab_is_refused(webui, tmp_path):
    with pytest.raises(webui.host.api.AnimateDiffError, match="does not exist"):
        batch(webui, {}, tmp_path / "none")


def test_batch_tab_is_the_hosts_own_again_when_the_extension_is_unloaded(webui):
    original = webui.host.img2img.process_batch
    undo = webui.host.batch.take_over_batches()
    with pytest.raises(NotImplementedError, match="the host's own"):
        webui.host.img2img.process_batch(webui.request([False]), "", "", "", ())
    undo()
    assert webui.host.img2img.process_batch is original


def test_install_lists_only_what_is_missing(monkeypatch):
    spec = importlib.util.spec_from_file_location("install_door", ROOT / "install.py")
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    find = lambda name: None if name == "imageio_ffmpeg" else spec  # noqa: E731
    monkeypatch.setattr(install.importlib.util, "find_spec", find)
    assert install.missing_packages() == ["imageio-ffmpeg"]
