"""Each benchmark runs at toy size, and what is compared agrees."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("diffusers")

from benchmarks import clips, layer_parts, layers, memory, reading, startup, steps
from benchmarks.chart import to_svg
from benchmarks.command_line import main
from benchmarks.options import Options
from benchmarks.results import Result
from motion_module.attention import attend_by_products, attend_by_sdpa

TOY = Options(rounds=1, toy=True, clips=(1,), frames=(8,))


def test_layers_agree_with_those_of_diffusers():
    results = list(layers.run(TOY))
    assert {result.subject for result in results} == {"diffusers", "matrix products"}
    assert all(result.error <= 1e-5 for result in results if result.subject == "diffusers")


def test_each_attention_backend_agrees_with_the_chosen_one(monkeypatch):
    backends = {"products": attend_by_products, "SDPA": attend_by_sdpa}
    monkeypatch.setattr(layer_parts, "backends_for", lambda query: backends)
    results = list(layer_parts.compare_attention("toy", (8, 16, 32), TOY))
    assert [result.subject for result in results] == ["attention by products", "attention by SDPA"]
    assert all(result.error <= 1e-5 for result in results)


def test_kernels_are_beside_what_they_stand_for_where_they_are_on(monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed: requirements-dev.txt has it on Linux")
    assert list(layer_parts.compare_kernels("toy", (2, 4, 32), TOY)) == []
    monkeypatch.setenv("ANIMATEDIFF_TRITON", "1")
    results = list(layer_parts.compare_kernels("toy", (2, 4, 32), TOY))
    assert [result.subject for result in results] == ["norm and positions by PyTorch", "gate by PyTorch"]
    assert all(result.error <= 1e-5 for result in results)


def test_bare_products_are_those_that_the_cost_formula_counts():
    channels = 32
    layer = layers.build_layer(channels, 4)
    weights = [parameter for parameter in layer.parameters() if parameter.ndim == 2]
    assert sum(weight.numel() for weight in weights) == 22 * channels**2


@pytest.mark.slow
def test_steps_agree_with_those_of_diffusers():
    peer, plain, windows = steps.run(TOY)
    assert peer.error <= 1e-4
    assert plain.figures["by arithmetic"] > 1
    assert windows.error <= 5e-3  # in float32, so small a UNet alone differs from itself by a tenth of that


@pytest.mark.slow
def test_clips_agree_with_those_of_diffusers():
    short, long = clips.run(TOY)
    assert short.error <= 2 / 255
    assert long.subject.endswith("FreeNoise")


@pytest.mark.slow
def test_memory_is_measured_for_both():
    (result,) = memory.run(TOY)
    assert set(result.figures) == {"MiB", "ours, MiB"}


@pytest.mark.slow
def test_startup_times_the_import_and_a_whole_module():
    assert [result.subject for result in startup.run(TOY)] == ["torch alone", "reading the bytes"]


def test_writers_are_true_to_the_frames():
    pytest.importorskip("imageio")
    from benchmarks import writers

    for result in writers.run(TOY):
        assert result.figures["ours, SSIM"] > 0.5


def test_reading_gives_the_pictures_that_pyav_gives():
    (result,) = reading.run(TOY)
    assert result.error <= 2 / 255


def test_command_line_writes_what_it_measured(tmp_path, capsys):
    out = tmp_path / "figures.json"
    options = ["--toy", "--only", "layers", "--rounds", "1", "--clips", "1"]
    assert main([*options, "--out", str(out)]) == 0
    document = json.loads(out.read_text())
    assert document["machine"]["torch"]
    assert len(document["results"]) == len(capsys.readouterr().out.splitlines()) - 2
    assert out.with_suffix(".svg").read_text().count("<rect") == len(document["results"]) + 1


def test_chart_keeps_names_apart_from_markup():
    assert "a &lt;b&gt;" in to_svg([Result("layers", "a <b>", "c", 0.5)])
