"""The animation's field in an infotext, through the host's own parser."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from animatediff_webui.core.errors import InfotextError
from animatediff_webui.core.infotext import format_field, format_value, parse_value
from animatediff_webui.core.multival import parse_multival
from animatediff_webui.core.notes import add_note
from animatediff_webui.core.parameters import Parameters, parse_parameters
from tests.core.arguments import api_arguments

WEBUI_FIELD = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def webui_fields(infotext: str) -> dict[str, str]:
    """What the WebUI's parser makes of an infotext's last line."""
    found = WEBUI_FIELD.findall(infotext.strip().split("\n")[-1])
    return {key: json.loads(value) if value.startswith('"') else value for key, value in found}


def infotext(field: str) -> str:
    return f"a cat, AnimateDiff: no\nNegative prompt: bad\nSteps: 20, Seed: 1, {field}, Version: 1.10.1"


def public_parameters(arguments: dict[str, Any]) -> Parameters:
    """What infotexts hold of a request: no pictures, no paths, no masks."""
    private = (
        "video_source", "video_path", "mask_path", "last_frame", "motion_picture", "camera_poses",
        "window_batch", "keyframes",
    )  # fmt: skip
    values = {key: value for key, value in arguments.items() if key not in private}
    for key in ("motion_scale", "motion_effect", "noise_weight"):
        if key in values:
            values[key] = parse_multival(values[key], key).public()
    return parse_parameters(values)


@given(api_arguments(), st.none() | st.text("0123456789abcdef", min_size=1))
def test_field_survives_the_webuis_parser(arguments: dict[str, Any], model_hash: str | None):
    parameters = public_parameters(arguments)
    fields = webui_fields(infotext(format_field(parameters, model_hash=model_hash)))
    assert (fields["Seed"], fields["Version"]) == ("1", "1.10.1")
    info = parse_value(fields["AnimateDiff"])
    assert (info.parameters, info.model_hash, info.unknown) == (parameters, model_hash, ())


@given(api_arguments())
def test_field_quoted_by_the_host_itself_reads_back(arguments: dict[str, Any]):
    parameters = public_parameters(arguments)
    value = format_value(parameters)
    quoted = value if "," not in value and ":" not in value else json.dumps(value, ensure_ascii=False)
    assert (
        parse_value(webui_fields(infotext(f"AnimateDiff: {quoted}"))["AnimateDiff"]).parameters == parameters
    )


@given(api_arguments())
def test_field_holds_no_picture_and_no_path(arguments: dict[str, Any]):
    arguments |= {"last_frame": Image.new("RGB", (2, 2)), "video_path": "/home/me/clips"}
    field = format_field(parse_parameters(arguments))
    assert not re.search(r"base64|/home/me|clips|last_frame|video_path", field)


def test_value_holds_only_what_is_not_at_its_default():
    parameters = parse_parameters({"enable": True, "fps": 12, "stride": 1})
    assert json.loads(format_value(parameters)) == {"enable": True, "fps": 12}
    assert format_value(Parameters()) == "{}"


def test_value_names_the_module_that_was_used_and_its_hash():
    value = format_value(parse_parameters({"enable": True}), model="v3/mm.safetensors", model_hash="0a1b")
    info = parse_value(value)
    assert (info.parameters.model, info.model_hash) == ("v3/mm.safetensors", "0a1b")


def test_parse_value_reads_the_older_form():
    info = parse_value(
        "enable: True, model: mm_sd15_v3.safetensors, video_length: 24, fps: 8, loop_number: 0, "
        "closed_loop: R+P, batch_size: 16, stride: 1, overlap: -1, interp: Off, interp_x: 10, mm_hash: 9f2a"
    )
    expected = {
        "enable": True,
        "model": "mm_sd15_v3.safetensors",
        "video_length": 24,
        "fps": 8,
        "batch_size": 16,
    }
    assert info.parameters == parse_parameters({**expected, "closed_loop": "R+P"})
    assert info.model_hash == "9f2a"


def test_parse_value_collects_keys_of_other_versions():
    assert parse_value('{"fps": 12, "sparkle": 3}').unknown == ("sparkle",)


def test_parse_value_never_takes_a_path():
    info = parse_value('{"video_path": "/etc"}')
    assert info.parameters == Parameters()
    assert info.unknown == ("video_path",)


@pytest.mark.parametrize(("text", "words"), [('{"fps": 12', "cut or changed"), ('{"fps": -1}', "fps is -1")])
def test_parse_value_that_was_changed_by_hand_is_refused_in_words(text: str, words: str):
    with pytest.raises(InfotextError, match=f"AnimateDiff field.*{words}"):
        parse_value(text)


def test_a_note_stands_behind_the_fields_and_leaves_them_as_they_are():
    text = infotext(format_field(parse_parameters({"fps": 12})))
    noted = add_note(text, "interrupted after 3 frames")
    assert webui_fields(noted) == {**webui_fields(text), "AnimateDiff note": "interrupted after 3 frames"}
    assert add_note("", "interrupted after 3 frames") == ""


@pytest.mark.parametrize(
    "text",
    ['{"fps": ' + "1" * 5000 + "}", '{"a":' * 100_000, '{"a": ' + "[" * 100_000, '{"fps": 1e400}'],
    ids=["digits", "braces", "brackets", "infinite"],
)
def test_parse_value_of_what_no_host_wrote_is_refused_in_words(text: str):
    with pytest.raises(InfotextError, match="AnimateDiff field") as refused:
        parse_value(text)
    assert len(str(refused.value).encode()) < 500


@pytest.mark.parametrize("shape", ["a", " ", "\n", ",", ", ", "a: ", "a: b, ", ",b", ":", "{"])
def test_parse_value_of_a_long_text_takes_time_by_its_length(shape: str):
    """By its square it would be minutes."""
    started = time.process_time()
    with suppress(InfotextError):
        parse_value(shape * (200_000 // len(shape)))
    assert time.process_time() - started < 5


def test_parse_value_keeps_commas_inside_older_values():
    text = "enable: True, model: a, b.ckpt, format: ['GIF', 'PNG'], reverse: [0, 1], mm_hash: 9f2a"
    info = parse_value(text)
    assert (info.parameters.model, info.parameters.output.reverse) == ("a, b.ckpt", (0, 1))
    assert info.model_hash == "9f2a"
