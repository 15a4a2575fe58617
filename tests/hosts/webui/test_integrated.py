"""Clips with the ControlNet that Forge, reForge and Forge Classic bring along."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PIL import Image

from tests.hosts.webui.conftest import UNET, embedding, write_greys
from tests.hosts.webui.fake_integrated import ForgeUnit, InputMode, IntegratedScript, Unit
from tests.hosts.webui.forks import ForgeCheckpoint, LdmPatchedCheckpoint

GREYS = range(10, 130, 20)


BOTH = pytest.mark.parametrize(
    "kind",
    [(ForgeCheckpoint, ForgeUnit), (LdmPatchedCheckpoint, Unit)],
    ids=["forge", "others"],
    indirect=True,
)


@pytest.fixture
def kind(request):
    return getattr(request, "param", (ForgeCheckpoint, ForgeUnit))


@pytest.fixture
def fork(kind, webui):
    from backend import memory_management

    checkpoint, unit_class = kind
    webui.model = webui.host.shared.sd_model = checkpoint(UNET, embedding)
    webui.runner.alwayson_scripts[0].args_to = 2
    webui.controlnet = IntegratedScript(2, unit_class)
    webui.runner.alwayson_scripts.append(webui.controlnet)
    yield webui
    memory_management.current_loaded_models.clear()


@pytest.fixture
def folder(tmp_path):
    return write_greys(tmp_path / "control", GREYS)


def run(fork, values, *units, **fields):
    p = fork.request({"context_scheduler": "standard static", **values}, **{"steps": 1, **fields})
    p.script_args = arguments = (*p.script_args, *units)
    fork.host.shared.state.begin()
    p.processed = fork.host.processing.process_images(p)
    assert p.script_args is arguments
    assert "get_input_data" not in vars(fork.controlnet)
    assert "process_before_every_sampling" not in vars(fork.runner)
    return p


def picture_of(fork, grey):
    pixels = np.full((64, 64, 3), grey, np.uint8)
    if fork.controlnet.unit_class is ForgeUnit:
        return {"image": pixels, "image_fg": np.zeros((64, 64, 4), np.uint8)}
    return {"image": {"image": pixels, "mask": np.zeros_like(pixels)}}


@BOTH
def test_unit_without_a_picture_follows_the_video_and_each_window_sees_its_frames(fork, folder):
    p = run(fork, {"video_path": str(folder), "format": ["GIF", "Frame"]}, fork.controlnet.unit_class())
    assert len(p.processed.images) == 1 + len(GREYS)
    first, second = ([10, 30, 50, 70] * 2, [50, 70, 90, 110] * 2)
    assert fork.controlnet.seen[:2] == [first, second]
    assert {call.rows for call in fork.model.calls} == {8}
    signals = [call.control["middle"][0].flatten() * 255 for call in fork.model.calls[:2]]
    assert [[round(value) for value in each.tolist()] for each in signals] == [first, second]


def test_unit_in_batch_mode_follows_its_own_folder(fork, folder):
    unit = fork.controlnet.unit_class(input_mode=InputMode.BATCH, batch_image_dir=str(folder))
    p = run(fork, {"format": ["GIF", "Frame"]}, unit)
    assert len(p.processed.images) == 1 + len(GREYS)
    assert fork.controlnet.seen[1] == [50, 70, 90, 110] * 2


def test_networks_of_several_units_see_the_same_window(fork, folder):
    unit = fork.controlnet.unit_class
    run(fork, {"video_path": str(folder)}, unit(), unit(**picture_of(fork, 200)))
    assert fork.controlnet.seen[:4] == [
        [10, 30, 50, 70] * 2, [200] * 8, [50, 70, 90, 110] * 2, [200] * 8,
    ]  # fmt: skip


@BOTH
def test_masks_of_an_inpaint_unit_are_its_frames_black_ones_too(fork, folder, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for index in range(len(GREYS)):
        Image.new("L", (64, 64), 255 * (index % 2)).save(masks / f"{index}.png")
    unit = fork.controlnet.unit_class(module="inpaint_only")
    run(fork, {"video_path": str(folder), "mask_path": str(masks)}, unit)
    assert fork.controlnet.seen[:2] == [[0, 30, 0, 70] * 2, [0, 70, 0, 110] * 2]


def test_hires_fix_and_freeinit_prepare_networks_anew(fork, folder):
    values = {"video_path": str(folder), "freeinit_enable": True, "freeinit_iters": 2}
    run(fork, values, fork.controlnet.unit_class(), enable_hr=True)
    assert len(fork.controlnet.seen) == 3 * 2
    assert {len(rows) for rows in fork.controlnet.seen} == {8}


def test_memory_is_reckoned_for_windows_with_control_too(fork, folder):
    run(fork, {"video_path": str(folder)}, fork.controlnet.unit_class())
    assert set(fork.model.real.estimated_rows) == {8}


def test_script_that_wraps_the_models_function_gets_whole_signals(fork, folder):
    controls = []

    def patch(unet):
        def wrapper(call, args):
            controls.append(len(args["c"]["control"]["middle"][0]))
            return call(args["input"], args["timestep"], **args["c"])

        unet.model_options["model_function_wrapper"] = wrapper

    p = fork.request({"video_path": str(folder), "context_scheduler": "standard static"})
    p.script_args = (*p.script_args, fork.controlnet.unit_class())
    p._before_every_sampling = [patch]
    fork.host.processing.process_images(p)
    assert set(controls) == {12}
    assert len(fork.model.calls[0].control["middle"][0]) == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "unit 0 has no picture"),
        ({"image": "of no kind that is read"}, "could not prepare its unit 0"),
        ({"input_mode": InputMode.BATCH, "batch_image_dir": "/no/such/folder"}, "not an existing"),
        ({"input_mode": InputMode.BATCH}, "names no folder"),
    ],
)
def test_unit_that_has_nothing_to_follow_is_refused_in_one_sentence(fork, values, message):
    with pytest.raises(fork.host.api.AnimateDiffError, match=message):
        run(fork, {}, fork.controlnet.unit_class(**values))
    assert not fork.model.calls


def test_unit_that_makes_one_embedding_of_a_video_is_refused(fork, folder):
    fork.controlnet.makes_embeddings = True
    with pytest.raises(fork.host.api.AnimateDiffError, match="CLIP cannot follow a video in this WebUI:"):
        run(fork, {"video_path": str(folder)}, fork.controlnet.unit_class(module="CLIP"))


def test_reference_that_is_kept_from_call_to_call_follows_a_video_in_one_window_only(fork, folder):
    fork.controlnet.keeps_recordings = True
    unit = fork.controlnet.unit_class(module="reference_only")
    run(fork, {"video_path": str(folder), "batch_size": 6}, unit)
    with pytest.raises(fork.host.api.AnimateDiffError, match="in several windows"):
        run(fork, {"video_path": str(folder)}, unit)
    run(fork, {"video_length": 6}, fork.controlnet.unit_class(**picture_of(fork, 200)))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("inpaint_only", "inpaint_only of unit 0 needs a mask"),
        ("of another base model", r"could not apply its units \(ValueError: sizes differ\)"),
    ],
)
def test_unit_that_the_host_would_leave_out_with_a_line_in_its_log_stops_the_run(fork, module, message):
    with pytest.raises(fork.host.api.AnimateDiffError, match=message):
        run(fork, {}, fork.controlnet.unit_class(**picture_of(fork, 200), module=module))
    assert not fork.model.calls
    assert "process_before_every_sampling" not in vars(fork.controlnet)
    assert len(fork.samples({})) == 4


def test_unit_that_could_not_be_prepared_from_a_video_is_not_asked_for_one(fork, folder, monkeypatch):
    monkeypatch.setattr(fork.controlnet, "process", lambda *_: setattr(fork.controlnet, "current_params", {}))
    with pytest.raises(fork.host.api.AnimateDiffError, match="could not prepare its unit 0"):
        run(fork, {"video_path": str(folder)}, fork.controlnet.unit_class(module="CLIP"))


@BOTH
def test_units_of_clients_are_dicts(fork, folder):
    data = base64.b64encode((folder / "0.png").read_bytes()).decode()
    run(fork, {"video_source": data, "video_length": 4}, {"module": "None"})
    assert set(map(tuple, fork.controlnet.seen)) == {(10,) * 8}
