"""The accordion and pasting with a real gradio, where one is installed."""

import html
import importlib
from types import SimpleNamespace

import pytest
from safetensors.torch import save_file

from animatediff_webui.core.infotext import format_value
from animatediff_webui.core.parameters import FIELDS, Parameters, parse_parameters
from animatediff_webui.hosts.webui.motion_modules import ModuleLibrary
from motion_module import MotionModule, MotionModuleSpec

gr = pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def page(host):
    """The page's rooms, which import the host's modules: here the stand-in's."""
    folder = "animatediff_webui.hosts.webui.page"
    rooms = {name: importlib.import_module(f"{folder}.{name}") for name in ("accordion", "infotext")}
    return SimpleNamespace(**rooms)


@pytest.fixture
def library(tmp_path):
    spec = MotionModuleSpec(widths=(32, 64, 96, 96))
    (tmp_path / "sub").mkdir()
    save_file(
        {key: tensor.contiguous() for key, tensor in MotionModule(spec).state_dict().items()},
        tmp_path / "sub" / "mm.safetensors",
    )
    return ModuleLibrary(lambda: [tmp_path])


@pytest.fixture
def build(page, library):
    def build_tab(is_img2img):
        with gr.Blocks() as demo:
            components = page.accordion.build_accordion(is_img2img, library, Parameters())
        return demo, components

    return build_tab


@pytest.mark.parametrize("is_img2img", [False, True])
def test_accordion_has_a_component_for_each_parameter_in_order(build, is_img2img):
    _, components = build(is_img2img)
    tab = "img2img" if is_img2img else "txt2img"
    assert [component.elem_id for component in components] == [
        f"animatediff_{tab}_{field.name}" for field in FIELDS
    ]


def test_accordion_untouched_asks_for_the_defaults(build):
    _, components = build(False)
    parameters = parse_parameters([component.value for component in components])
    assert parameters == parse_parameters({"model": "sub/mm.safetensors"})


def test_accordion_reads_zero_in_an_empty_number_as_empty(build):
    _, components = build(False)
    by_name = {field.name: component for field, component in zip(FIELDS, components, strict=True)}
    assert by_name["fps"].preprocess(0) is None
    assert by_name["fps"].preprocess(12.5) == 12.5
    assert by_name["overlap"].preprocess(0) == 0


def test_accordion_hides_first_and_last_frame_in_txt2img(build):
    def is_seen(component):
        while component is not None:
            if not getattr(component, "visible", True):
                return False
            component = component.parent
        return True

    names = [field.name for field in FIELDS]
    for is_img2img in (False, True):
        _, components = build(is_img2img)
        assert is_seen(components[names.index("last_frame")]) == is_img2img


def test_elements_ids_share_one_prefix_and_are_unique(page, library):
    with gr.Blocks() as demo:
        page.accordion.build_accordion(False, library, Parameters())
        page.accordion.build_accordion(True, library, Parameters())
    ids = [block.elem_id for block in demo.blocks.values() if block.elem_id]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("animatediff_") for name in ids)


def test_pasting_restores_every_parameter_of_an_infotext(page, build):
    _, components = build(False)
    asked = parse_parameters(
        {"enable": True, "model": "sub/mm.safetensors", "fps": 12.5, "format": ["MP4", "PNG"],
         "reverse": [0, 2], "closed_loop": "A", "batch_size": 24, "overlap": 5,
         "freeinit_enable": True, "request_id": "a-1"}
    )  # fmt: skip
    params = {"AnimateDiff": format_value(asked)}
    values = {
        component.elem_id: read(params) for component, read in page.infotext.infotext_fields(components)
    }
    pasted = {
        field.name: values[key]["value"]
        for field in FIELDS
        if (key := f"animatediff_txt2img_{field.name}") in values
    }
    assert parse_parameters(pasted) == asked


def test_pasting_an_infotext_without_an_animation_switches_ours_off(page, build):
    _, components = build(False)
    answers = [read({"Prompt": "a cat"}) for _, read in page.infotext.infotext_fields(components)]
    assert answers[0]["value"] is False
    assert all(answer is None for answer in answers[1:])


def test_reading_a_file_back_gives_its_infotext(page, tmp_path):
    path = tmp_path / "infotext.txt"
    path.write_text("a cat\nSteps: 3", "utf-8")
    infotext, status = page.accordion.read_back(str(path))
    assert infotext == "a cat\nSteps: 3"
    assert "infotext.txt" in status


def test_reading_a_file_without_settings_says_so(page, tmp_path):
    path = tmp_path / "empty.txt"
    path.touch()
    infotext, status = page.accordion.read_back(str(path))
    assert infotext == ""
    assert "no settings" in status


def test_no_event_covers_the_page_with_its_progress(build):
    """gradio 4 takes False for yes."""
    demo, _ = build(True)
    events = [event for event in demo.get_config_file()["dependencies"] if event["outputs"]]
    assert len(events) >= 6
    assert {event["show_progress"] for event in events} == {"hidden"}


def test_buttons_beside_the_list_say_what_they_do(page, build):
    demo, _ = build(False)
    blocks = {block.elem_id: block for block in demo.blocks.values() if block.elem_id}
    tables = next(
        block.value for block in demo.blocks.values() if "data-page" in str(getattr(block, "value", ""))
    )
    for button in page.accordion.MODULE_BUTTONS:
        assert any(letter.isalpha() for letter in blocks[f"animatediff_txt2img_{button.name}"].value)
        assert button.tooltip in html.unescape(tables)
