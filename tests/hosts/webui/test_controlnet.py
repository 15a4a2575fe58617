from __future__ import annotations

import sys
import tempfile
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from animatediff_webui.core.image import encode_image
from tests.fingerprints.published import sparsectrl_encoder
from tests.hosts.webui.conftest import write_greys
from tests.hosts.webui.fake_controlnet import ControlNetScript, ControlNetUnit, InputMode
from tests.motion_module.samples import random_tensors

GREYS = range(10, 250, 20)


@pytest.fixture
def folder(tmp_path):
    return write_greys(tmp_path / "control", GREYS)


@pytest.fixture
def controlnet(webui, monkeypatch):
    script = ControlNetScript(args_from=2)
    state = SimpleNamespace(cn_models={"None": None}, cn_models_names={})
    monkeypatch.setitem(sys.modules, "scripts.global_state", state)
    ours = webui.runner.alwayson_scripts[0]
    ours.args_to = 2
    webui.runner.alwayson_scripts.append(script)
    return script


def run(webui, values, *units, **fields):
    p = webui.request(values, **fields)
    p.script_args = (*p.script_args, *units)
    webui.host.shared.state.begin()
    p.processed = webui.host.processing.process_images(p)
    return p


def levels(rows):
    return [round(float(row.mean()) * 255) for row in rows]


def test_unit_with_a_folder_of_its_own_is_as_long_as_the_folder_and_each_window_sees_its_frames(
    webui, controlnet, folder
):
    unit = ControlNetUnit(input_mode=InputMode.BATCH, batch_images=str(folder))
    p = run(webui, {"format": ["GIF", "Frame"]}, unit)
    assert len(p.processed.images) == 1 + len(GREYS)
    steps = [levels(rows) for (rows,) in controlnet.seen]
    assert all(len(rows) == 8 and rows[:4] == rows[4:] for rows in steps)
    frames = [[list(GREYS).index(level) for level in rows[:4]] for rows in steps]
    assert {frame for window in frames for frame in window} == set(range(len(GREYS)))
    neighbours = [pair for window in frames for pair in pairwise(window)]
    assert all((later - frame) % len(GREYS) == 1 for frame, later in neighbours)


def test_with_units_windows_go_one_by_one_whatever_is_asked_for(webui, controlnet, folder):
    unit = ControlNetUnit(input_mode=InputMode.BATCH, batch_images=str(folder))
    run(webui, {"window_batch": 3}, unit)
    assert {call.rows for call in webui.model.calls} == {8}  # 4 frames, cond and uncond


def test_units_and_their_hints_are_as_before_afterwards(webui, controlnet, folder):
    unit = ControlNetUnit(input_mode=InputMode.BATCH, batch_images=str(folder))
    p = webui.request({"video_length": 6})
    p.script_args = arguments = (*p.script_args, unit)
    webui.host.shared.state.begin()
    webui.host.processing.process_images(p)
    assert p.script_args is arguments
    assert unit == ControlNetUnit(input_mode=InputMode.BATCH, batch_images=str(folder))
    assert [each.hint_cond for each in controlnet.params] == [hint for hint, _ in controlnet.whole]


def test_unit_with_one_picture_controls_every_frame(webui, controlnet, folder):
    run(webui, {"video_length": 6}, ControlNetUnit(image=str(folder / "3.png")))
    assert {tuple(levels(rows)) for (rows,) in controlnet.seen} == {(GREYS[3],)}


def test_keyframes_of_a_unit_lie_at_their_frames_and_do_not_shorten_the_clip(webui, controlnet, folder):
    for file in list(folder.iterdir()):
        if file.name not in ("0.png", "1.png"):
            file.unlink()
    unit = ControlNetUnit(input_mode=InputMode.BATCH, batch_images=f"{folder}\nkeyframe:0,3")
    run(webui, {"video_length": 4}, unit)
    assert {tuple(levels(rows)) for (rows,) in controlnet.seen} == {(10, 0, 0, 30) * 2}


def test_ip_adapter_travels_between_its_keyframes(webui, controlnet, folder):
    for file in list(folder.iterdir()):
        if file.name not in ("0.png", "10.png"):
            file.unlink()
    unit = ControlNetUnit(
        input_mode=InputMode.BATCH, batch_images=f"{folder}\nkeyframe:0,2", module="ip-adapter"
    )
    run(webui, {"video_length": 4}, unit)
    assert {tuple(levels(rows)) for (rows,) in controlnet.seen} == {(10, 110, 210, 210) * 2}
    adapter = controlnet.params[0].control_model
    assert adapter.image_emb is controlnet.whole[0][1]
    assert not adapter.cache


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("/no/such/folder", "not an existing"),
        ("{folder}\nkeyframe:0,3", "names 2 keyframes for the 12 pictures"),
        ("{folder}\nkeyframe:one", "are no keyframes"),
        ("{folder}\nkeyframe:3,1,2,4,5,6,7,8,9,10,11,12", "do not ascend"),
    ],
)
def test_folder_that_cannot_be_followed_is_refused_in_one_sentence(webui, controlnet, folder, lines, message):
    unit = ControlNetUnit(input_mode=InputMode.BATCH, batch_images=lines.format(folder=folder))
    with pytest.raises(webui.host.api.AnimateDiffError, match=message):
        run(webui, {}, unit)
    assert not webui.model.calls


def test_controlnet_leaves_the_folder_of_a_refused_request_alone(webui, controlnet):
    answers = []
    webui.runner.alwayson_scripts.append(
        SimpleNamespace(
            args_from=0, args_to=0, process=lambda p, *args: answers.append(webui.host.argument.find_run(p))
        )
    )
    with pytest.raises(webui.host.api.AnimateDiffError):
        run(webui, {}, ControlNetUnit(input_mode=InputMode.BATCH, batch_images="/no/such/folder"))
    assert [answer.enable for answer in answers] == [True]


def test_keyframe_past_the_last_frame_is_refused(webui, controlnet, folder):
    frames = ",".join(str(2 * index) for index in range(len(GREYS)))
    unit = ControlNetUnit(input_mode=InputMode.BATCH, batch_images=f"{folder}\nkeyframe:{frames}")
    with pytest.raises(webui.host.api.AnimateDiffError, match=r"past the last frame \(7\)"):
        run(webui, {"video_length": 8}, unit)


def test_clip_without_the_control_that_was_asked_for_is_refused(webui, controlnet, folder):
    controlnet.fails = "no such preprocessor"
    words = r"could not prepare its units \(RuntimeError: no such preprocessor\): correct or disable"
    with pytest.raises(webui.host.api.AnimateDiffError, match=words):
        run(webui, {}, ControlNetUnit(image=str(folder / "3.png")))
    assert not webui.model.calls
    assert "process" not in vars(controlnet)
    controlnet.fails = ""
    run(webui, {}, ControlNetUnit(image=str(folder / "3.png")))


def test_model_that_is_not_there_is_named_with_those_that_are(webui, controlnet, folder, models):
    controlnet.fails = "model not found: None"
    words = (
        "unit 0 has the model preproc, which is not there: choose one of sparsectrl_rgb .12ab., control_canny"
    )
    with pytest.raises(webui.host.api.AnimateDiffError, match=words):
        run(webui, {}, ControlNetUnit(image=str(folder / "3.png"), model="preproc"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"module": "cany"}, "ControlNet's unit 1 has the module 'cany', but must have one of none, canny."),
        (
            {"module": "canny", "weight": 9},
            "ControlNet refuses its unit 1 (weight: ensure this value is less than or equal to 2.0): correct "
            "it.",
        ),
    ],
)
def test_unit_that_controlnet_refuses_is_explained_in_one_sentence(
    webui, controlnet, monkeypatch, values, sentence
):
    said = "ensure this value is less than or equal to 2.0 (type=value_error)"
    lines = f"1 validation error for ControlNetUnit\nweight\n  {said}"

    def refuse(unit):
        raise ValueError(lines)

    known = [SimpleNamespace(name=name, label=name.title()) for name in ("none", "canny")]
    preprocessor = SimpleNamespace(get_sorted_preprocessors=lambda: known)
    monkeypatch.setitem(sys.modules, "scripts.external_code", SimpleNamespace(to_processing_unit=refuse))
    monkeypatch.setitem(
        sys.modules, "scripts.supported_preprocessor", SimpleNamespace(Preprocessor=preprocessor)
    )
    with pytest.raises(webui.host.api.AnimateDiffError) as refused:
        run(webui, {}, ControlNetUnit(enabled=False), values)
    assert str(refused.value) == sentence


@pytest.fixture
def models(tmp_path, monkeypatch):
    """ControlNet's list: one of each kind, as files in its own names."""
    names = sparsectrl_encoder((32, 64, 64, 64))
    hints = {"input_hint_block.0.weight": (32, 5, 3, 3)}
    temporal = {key: shape for key, shape in names.items() if "motion_modules" in key}
    files = {"sparsectrl_rgb": {**hints, **temporal}, "control_canny": hints}
    listed = {}
    for name, shapes in files.items():
        listed[f"{name} [12ab]"] = str(tmp_path / f"{name}.safetensors")
        save_file(random_tensors(shapes), tmp_path / f"{name}.safetensors")
    names = {key.split(" ")[0]: key for key in listed}
    state = SimpleNamespace(cn_models=listed, cn_models_names=names)
    monkeypatch.setitem(sys.modules, "scripts.global_state", state)


def base64_grey(grey):
    return encode_image(Image.new("RGB", (64, 64), (grey, grey, grey)))


def test_keyframe_images_are_given_to_the_sparsectrl_unit_and_the_files_are_gone_afterwards(
    webui, controlnet, folder, models, tmp_path, monkeypatch
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(webui.host.shared.cmd_opts, "gradio_allowed_path", [str(tmp_path)], raising=False)
    keyframes = [{"frame": 3, "image": str(folder / "1.png")}, {"frame": 0, "image": base64_grey(10)}]
    units = ControlNetUnit(model="sparsectrl_rgb [12ab]"), ControlNetUnit(image=str(folder / "3.png"))
    p = run(webui, {"video_length": 4, "keyframes": keyframes}, *units)
    assert {tuple(levels(sparse)) for sparse, _ in controlnet.seen} == {(10, 0, 0, 30) * 2}
    assert p.script_args[-2:] == units
    assert not list(temporary.iterdir())


def test_ip_adapter_unit_takes_keyframe_images_and_a_video_stays_for_the_others(
    webui, controlnet, folder, models, monkeypatch
):
    monkeypatch.setattr(webui.host.shared.cmd_opts, "gradio_allowed_path", [str(folder)], raising=False)
    values = {
        "video_length": 4, "video_path": str(folder),
        "keyframes": f"0={folder / '0.png'}; 2={folder / '10.png'}",
    }  # fmt: skip
    run(webui, values, ControlNetUnit(module="ip-adapter"), ControlNetUnit(model="canny"))
    assert {tuple(map(tuple, map(levels, rows))) for rows in controlnet.seen} == {
        ((10, 110, 210, 210) * 2, tuple(GREYS[:4]) * 2)
    }


@pytest.mark.parametrize(
    ("keyframes", "unit", "message"),
    [
        ("0={png}", {"model": "canny"}, "No ControlNet unit takes the keyframes"),
        ("0={png}", {"model": "sparsectrl", "image": "{png}"}, "No ControlNet unit takes the keyframes"),
        ("0={png}", {"model": "sparsectrl", "enabled": False}, "No ControlNet unit takes the keyframes"),
        ("0={png}; 9={png}", {"model": "sparsectrl"}, r"Keyframe 9 is past the last frame \(3\)"),
        ("0=/etc/hostname", {"model": "sparsectrl"}, "outside the folders that the API may read from"),
    ],
)
def test_keyframe_images_without_a_place_are_refused_in_one_sentence(
    webui, controlnet, folder, models, monkeypatch, keyframes, unit, message
):
    monkeypatch.setattr(webui.host.shared.cmd_opts, "gradio_allowed_path", [str(folder)], raising=False)
    png = folder / "0.png"
    fields = {name: value.format(png=png) if name == "image" else value for name, value in unit.items()}
    with pytest.raises(webui.host.api.AnimateDiffError, match=message):
        run(webui, {"video_length": 4, "keyframes": keyframes.format(png=png)}, ControlNetUnit(**fields))
    assert not webui.model.calls


def test_keyframe_images_without_controlnet_are_refused(webui):
    with pytest.raises(webui.host.api.AnimateDiffError, match="No ControlNet unit takes the keyframes"):
        webui.run({"keyframes": [{"frame": 0, "image": base64_grey(10)}]})


class Reader(nn.Module):
    """A network that reads prompts of some width, as the official ones name the layer that does."""

    def __init__(self, width):
        super().__init__()
        self.attn2 = nn.ModuleDict({"to_k": nn.Linear(width, 8)})


def test_unit_for_another_image_model_is_refused_and_the_next_picture_is_as_before(webui, controlnet, folder):
    plain, unit = webui.samples(), ControlNetUnit(image=str(folder / "3.png"))
    controlnet.network = Reader(2048)
    words = "control_canny is made for SDXL, but the checkpoint is SD1.5: choose another"
    with pytest.raises(webui.host.api.AnimateDiffError, match=words):
        run(webui, {}, unit)
    assert not controlnet.seen
    controlnet.network = Reader(768)
    run(webui, {}, unit)
    assert controlnet.seen
    controlnet.postprocess(None, None)
    assert torch.equal(webui.samples(), plain)


def test_hints_are_whole_again_after_an_error_in_the_model(webui, controlnet, folder):
    unit = ControlNetUnit(input_mode=InputMode.BATCH, batch_images=str(folder))

    def fail(*args, **kwargs):
        raise RuntimeError("out of memory")

    controlnet.forward = fail
    with pytest.raises(RuntimeError, match="out of memory"):
        run(webui, {}, unit)
    assert torch.equal(controlnet.params[0].hint_cond, controlnet.whole[0][0])
    assert controlnet.params[0].hint_cond is controlnet.whole[0][0]
