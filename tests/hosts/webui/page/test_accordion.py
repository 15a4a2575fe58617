"""The accordion and pasting with a real gradio, where one is installed."""

from pathlib import Path

import pytest
from safetensors.torch import save_file

from animatediff_webui.core.infotext import format_value
from animatediff_webui.core.parameters import FIELDS, parse_parameters
from animatediff_webui.hosts.webui.motion_modules import ModuleLibrary
from motion_module import MotionModule, MotionModuleSpec

gr = pytest.importorskip("gradio")

from animatediff_webui.hosts.webui.page.accordion import build_accordion, read_back  # noqa: E402
from animatediff_webui.hosts.webui.page.infotext import infotext_fields  # noqa: E402


class Host:
    def __init__(self, folder: Path) -> None:
        self.modules = ModuleLibrary(lambda: [folder])


@pytest.fixture
def host(tmp_path):
    spec = MotionModuleSpec(widths=(32, 64, 96, 96))
    (tmp_path / "sub").mkdir()
    save_file(
        {key: tensor.contiguous() for key, tensor in MotionModule(spec).state_dict().items()},
        tmp_path / "sub" / "mm.safetensors",
    )
    return Host(tmp_path)


def build(is_img2img, host):
    with gr.Blocks() as demo:
        components = build_accordion(is_img2img, host)
    return demo, components


@pytest.mark.parametrize("is_img2img", [False, True])
def test_accordion_has_a_component_for_each_parameter_in_order(host, is_img2img):
    _, components = build(is_img2img, host)
    tab = "img2img" if is_img2img else "txt2img"
    assert [component.elem_id for component in components] == [
        f"animatediff_{tab}_{field.name}" for field in FIELDS
    ]


def test_accordion_untouched_asks_for_the_defaults(host):
    _, components = build(False, host)
    parameters = parse_parameters([component.value for component in components])
    assert parameters == parse_parameters({"model": "sub/mm.safetensors"})


def test_accordion_reads_zero_in_an_empty_number_as_empty(host):
    _, components = build(False, host)
    by_name = {field.name: component for field, component in zip(FIELDS, components, strict=True)}
    assert by_name["fps"].preprocess(0) is None
    assert by_name["fps"].preprocess(12.5) == 12.5
    assert by_name["overlap"].preprocess(0) == 0


def test_accordion_hides_first_and_last_frame_in_txt2img(host):
    def is_seen(component):
        while component is not None:
            if not getattr(component, "visible", True):
                return False
            component = component.parent
        return True

    names = [field.name for field in FIELDS]
    for is_img2img in (False, True):
        _, components = build(is_img2img, host)
        assert is_seen(components[names.index("last_frame")]) == is_img2img


def test_elements_ids_share_one_prefix_and_are_unique(host):
    with gr.Blocks() as demo:
        build_accordion(False, host)
        build_accordion(True, host)
    ids = [block.elem_id for block in demo.blocks.values() if block.elem_id]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("animatediff_") for name in ids)


def test_pasting_restores_every_parameter_of_an_infotext(host):
    _, components = build(False, host)
    asked = parse_parameters(
        {"enable": True, "model": "sub/mm.safetensors", "fps": 12.5, "format": ["MP4", "PNG"],
         "reverse": [0, 2], "closed_loop": "A", "batch_size": 24, "overlap": 5,
         "freeinit_enable": True, "request_id": "a-1"}
    )  # fmt: skip
    params = {"AnimateDiff": format_value(asked)}
    values = {component.elem_id: read(params) for component, read in infotext_fields(components)}
    pasted = {
        field.name: values[key]["value"]
        for field in FIELDS
        if (key := f"animatediff_txt2img_{field.name}") in values
    }
    assert parse_parameters(pasted) == asked


def test_pasting_an_infotext_without_an_animation_switches_ours_off(host):
    _, components = build(False, host)
    answers = [read({"Prompt": "a cat"}) for _, read in infotext_fields(components)]
    assert answers[0]["value"] is False
    assert all(answer is None for answer in answers[1:])


def test_reading_a_file_back_gives_its_infotext(tmp_path):
    path = tmp_path / "infotext.txt"
    path.write_text("a cat\nSteps: 3", "utf-8")
    infotext, status = read_back(str(path))
    assert infotext == "a cat\nSteps: 3"
    assert "infotext.txt" in status


def test_reading_a_file_without_settings_says_so(tmp_path):
    path = tmp_path / "empty.txt"
    path.touch()
    infotext, status = read_back(str(path))
    assert infotext == ""
    assert "no settings" in status


def test_no_event_covers_the_page_with_its_progress(host):
    """gradio 4 takes False for yes."""
    demo, _ = build(True, host)
    events = [event for event in demo.get_config_file()["dependencies"] if event["outputs"]]
    assert len(events) >= 6
    assert {event["show_progress"] for event in events} == {"hidden"}
