"""The extension's script files, executed as the WebUI executes them, once and again."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.hosts.webui.conftest import (
    FAKE_HOST,
    ROOT,
    load_scripts,
    registered_scripts,
    unload_scripts,
)

CALLBACKS = {"app_started": 1, "ui_settings": 1, "before_ui": 1, "image_grid": 1, "script_unloaded": 2}


@pytest.fixture
def callbacks(host):
    """Those of the host, which knows none before and after the test."""
    host.script_callbacks.callbacks.clear()
    yield host.script_callbacks.callbacks
    unload_scripts(host)


@pytest.fixture
def other_extension(host, tmp_path, monkeypatch):
    """Another AnimateDiff extension that is active, in a folder of any name."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "animatediff_mm.py").touch()
    ours = host.extensions.Extension("sd-webui-ours", str(ROOT))
    other = host.extensions.Extension("the-other-one", str(tmp_path))
    monkeypatch.setattr(host.extensions, "extensions", [ours, other])
    return tmp_path


def counts(callbacks):
    return {name: len(functions) for name, functions in callbacks.items() if functions}


def test_scripts_register_one_script_and_each_callback_once(host, callbacks):
    modules = load_scripts(host)
    (script,) = registered_scripts(host, modules)
    assert script().title() == "AnimateDiff"
    assert script().show(is_img2img=True) is host.scripts.AlwaysVisible
    assert counts(callbacks) == CALLBACKS


def test_controlnet_finds_its_three_doors_by_name(webui):
    doors = {name: sys.modules[f"scripts.animatediff_{name}"] for name in ("utils", "mm", "i2ibatch")}
    argument = doors["utils"].get_animatediff_arg(webui.request({"video_length": 8}))
    assert (argument.enable, argument.video_length) == (True, 8)
    assert doors["utils"].get_animatediff_arg(webui.request([False])) is None
    kinds = doors["mm"].MotionModuleType
    assert doors["mm"].MotionWrapper("", "", kinds.SparseCtrl).down_blocks[1].motion_modules[0]
    assert doors["i2ibatch"].animatediff_i2i_batch is webui.host.batch.animate_folder


def test_reload_ui_twice_leaves_one_of_everything(host, callbacks, monkeypatch):
    grid = SimpleNamespace(axis_options=[], AxisOption=axis, AxisOptionImg2Img=axis)
    monkeypatch.setattr(host.scripts, "scripts_data", [SimpleNamespace(path="x/xyz_grid.py", module=grid)])
    original, number = host.img2img.process_batch, None
    for _ in range(3):
        unload_scripts(host)
        assert host.img2img.process_batch is original
        modules = load_scripts(host)
        assert len(registered_scripts(host, modules)) == 1
        assert counts(callbacks) == CALLBACKS
        assert host.img2img.process_batch is not original
        for register in callbacks["before_ui"]:
            register()
        labels = [option.label for option in grid.axis_options]
        assert len(set(labels)) == len(labels) == (number or len(labels)) > 0
        number = len(labels)
        assert len(callbacks["image_grid"]) == 1


def test_axes_are_in_the_grids_list_once_the_script_is_loaded(host, callbacks, monkeypatch):
    """A host without a page makes its list of axes before it calls `before_ui`."""
    grid = SimpleNamespace(axis_options=[], AxisOption=axis, AxisOptionImg2Img=axis)
    monkeypatch.setattr(host.scripts, "scripts_data", [SimpleNamespace(path="x/xyz_grid.py", module=grid)])
    load_scripts(host)
    assert "[AnimateDiff] Closed loop" in [option.label for option in grid.axis_options]


def axis(label, *args, **options):
    return SimpleNamespace(label=label)


def test_two_extensions_are_named_in_one_sentence(host, callbacks, other_extension, capsys):
    load_scripts(host)
    said = capsys.readouterr().err
    assert "*** Two AnimateDiff extensions are active: disable the-other-one." in said
    assert counts(callbacks) == CALLBACKS  # ours was loaded first


@pytest.mark.parametrize("is_known", [True, False])
def test_nothing_of_ours_runs_where_another_extension_has_the_packages_name(
    host, callbacks, other_extension, monkeypatch, capsys, is_known
):
    foreign = other_extension / "motion_module.py"
    monkeypatch.setitem(sys.modules, "motion_module", SimpleNamespace(__file__=str(foreign)))
    if not is_known:
        monkeypatch.setattr(host.extensions, "extensions", [])
    original = host.img2img.process_batch
    modules = load_scripts(host, "animatediff.py")  # the other files are of no use then
    assert registered_scripts(host, modules) == []
    assert counts(callbacks) == {}
    assert host.img2img.process_batch is original
    assert ("the-other-one" if is_known else str(foreign)) in capsys.readouterr().err


FRESH = """
import importlib.util, sys
from modules import scripts
sys.path = [sys.argv[1], *sys.path]
scripts.current_basedir = sys.argv[1]
spec = importlib.util.spec_from_file_location("animatediff.py", sys.argv[1] + "/scripts/animatediff.py")
door = importlib.util.module_from_spec(spec)
spec.loader.exec_module(door)
sys.path = sys.path[1:]
for late in ("animatediff_webui.media.writers.mov", "animatediff_webui.core.freeinit"):
    importlib.import_module(late)
print(door.AnimateDiffScript().title())
"""


@pytest.mark.slow
def test_packages_are_found_after_the_host_has_taken_the_folder_off_the_path(tmp_path):
    command = [sys.executable, "-c", FRESH, str(ROOT)]
    path = {"PYTHONPATH": str(FAKE_HOST), "PATH": ""}
    result = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "AnimateDiff"), result.stderr
