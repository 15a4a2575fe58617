"""The parameter object, its table, and every way in and out of it."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import FrozenInstanceError, fields, is_dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from PIL import Image

from animatediff_webui.core import image as image_module
from animatediff_webui.core import received
from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.moments import frame_at
from animatediff_webui.core.parameters import (
    FIELD_BY_NAME,
    FIELDS,
    Parameters,
    json_schema,
    parse_parameters,
    to_api,
)
from animatediff_webui.core.written import Written
from tests.core.arguments import api_arguments, base64_png, png_bytes

DOCUMENTED = [
    "enable",
    "model",
    "format",
    "video_length",
    "fps",
    "loop_number",
    "closed_loop",
    "batch_size",
    "stride",
    "overlap",
    "interp",
    "interp_x",
    "video_source",
    "video_path",
    "mask_path",
    "reverse",
    "latent_power",
    "latent_scale",
    "last_frame",
    "latent_power_last",
    "latent_scale_last",
    "freeinit_enable",
    "freeinit_filter",
    "freeinit_ds",
    "freeinit_dt",
    "freeinit_iters",
    "request_id",
]


def attribute_paths(owner: Any, prefix: str = "") -> list[str]:
    paths: list[str] = []
    for item in fields(owner):
        value = getattr(owner, item.name)
        paths += (
            attribute_paths(value, f"{prefix}{item.name}.")
            if is_dataclass(value) and not isinstance(value, Written)
            else [prefix + item.name]
        )
    return paths


# ---------------------------------------------------------------------------------------------- the table


def test_fields_name_every_attribute_of_the_parameters_once():
    assert sorted(field.attribute for field in FIELDS) == sorted(attribute_paths(Parameters()))


def test_fields_begin_with_the_documented_names_in_their_order():
    assert [field.name for field in FIELDS][: len(DOCUMENTED)] == DOCUMENTED


def test_fields_names_labels_and_aliases_are_unique():
    spellings = [spelling for field in FIELDS for spelling in (field.name, *field.aliases)]
    assert len(spellings) == len(set(spellings)) == len(FIELD_BY_NAME)
    assert len({(field.group, field.label) for field in FIELDS}) == len(FIELDS)


def test_fields_all_have_help_that_ends_like_a_sentence():
    assert all(field.help.endswith(".") and field.label and field.group for field in FIELDS)
    assert all(field.details.endswith(".") for field in FIELDS if field.details)


def test_fields_accept_their_own_default():
    assert all(field.read(field.default) == field.default for field in FIELDS)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("enable", False),
        ("format", ("GIF", "PNG")),
        ("video_length", 0),
        ("loop_number", 0),
        ("closed_loop", "R-P"),
        ("stride", 1),
        ("overlap", -1),
        ("interp", "Off"),
        ("interp_x", 10),
        ("reverse", ()),
        ("latent_power", 1),
        ("latent_scale", 32),
        ("latent_power_last", 1),
        ("latent_scale_last", 32),
        ("freeinit_enable", False),
        ("freeinit_filter", "butterworth"),
        ("freeinit_ds", 0.25),
        ("freeinit_dt", 0.25),
        ("freeinit_iters", 3),
        ("request_id", ""),
    ],
)
def test_field_default_is_the_documented_one(name: str, default: object):
    assert FIELD_BY_NAME[name].default == default


# ------------------------------------------------------------------------------------------------ parsing


@given(api_arguments())
def test_parse_of_to_api_gives_the_same_parameters(arguments: dict[str, Any]):
    parameters = parse_parameters(arguments)
    assert parse_parameters(json.loads(json.dumps(to_api(parameters)))) == parameters


@given(api_arguments())
def test_parse_reads_dict_and_list_of_one_key_dicts_alike(arguments: dict[str, Any]):
    one_key_dicts = [{key: value} for key, value in arguments.items()]
    assert parse_parameters(one_key_dicts) == parse_parameters([arguments]) == parse_parameters(arguments)


@given(api_arguments())
def test_parse_reads_a_bare_list_in_table_order(arguments: dict[str, Any]):
    bare = [arguments.get(field.name) for field in FIELDS]
    assert parse_parameters(bare) == parse_parameters(arguments)


@pytest.mark.parametrize("raw", [None, {}, [], (), [{}], dict.fromkeys(DOCUMENTED)])
def test_parse_without_values_or_with_nulls_gives_the_defaults(raw: object):
    assert parse_parameters(raw) == Parameters()


def test_parse_of_parameters_returns_them():
    parameters = parse_parameters({"fps": 12})
    assert parse_parameters(parameters) is parameters


def test_parse_takes_missing_values_and_nulls_from_the_hosts_defaults():
    settings = parse_parameters({"format": ["MP4"], "fps": 24})
    parameters = parse_parameters({"fps": None, "stride": 2}, defaults=settings)
    assert (parameters.output.formats, parameters.output.fps, parameters.context.stride) == (("MP4",), 24, 2)


@pytest.mark.parametrize("raw", ["gif", "GIF", ["gif"], ["Gif", "GIF"]])
def test_parse_format_accepts_a_string_a_list_and_any_case(raw: object):
    assert parse_parameters({"format": raw}).output.formats == ("GIF",)


def test_parse_format_keeps_the_order_asked_for():
    assert parse_parameters({"format": ["txt", "mp4", "gif"]}).output.formats == ("TXT", "MP4", "GIF")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"closed_loop": True}, {"closed_loop": "A"}),
        ({"closed_loop": False}, {"closed_loop": "N"}),
        ({"closed_loop": "r+p"}, {"closed_loop": "R+P"}),
        ({"context_batch_size": 8}, {"batch_size": 8}),
        ({"motion_module": "a.ckpt"}, {"model": "a.ckpt"}),
        ({"video_path": "", "mask_path": "", "last_frame": "", "model": ""}, {}),
        ({"video_length": 24.0}, {"video_length": 24}),
    ],
)
def test_parse_old_spelling_means_the_new_one(old: dict[str, Any], new: dict[str, Any]):
    assert parse_parameters(old) == parse_parameters(new)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("enable", "yes", "true or false"),
        ("enable", 1, "true or false"),
        ("video_length", -1, "a whole number from 0 to 100000"),
        ("video_length", 2.5, "a whole number from 0 to 100000"),
        ("video_length", "16", "a whole number from 0 to 100000"),
        ("video_length", True, "a whole number from 0 to 100000"),
        ("fps", 0, "a number above 0"),
        ("fps", math.nan, "a number above 0"),
        ("fps", math.inf, "a number above 0"),
        ("fps", 10**400, "a number above 0"),
        ("loop_number", -1, "a whole number from 0 to 65535"),
        ("closed_loop", "R", "one of N, R-P, R+P, A, Seamless"),
        ("batch_size", 0, "a whole number from 1 to 1024"),
        ("stride", 0, "a whole number from 1 to 16"),
        ("overlap", -2, "a whole number from -1 to 1023"),
        ("interp", "DAIN", "one of Off, Motion-compensated, RIFE, FILM"),
        ("interp_x", 0, "a whole number from 1 to 100"),
        ("latent_power", -0.1, "a number of 0 or more"),
        ("latent_scale", 0, "a number above 0"),
        ("freeinit_filter", "hamming", "one of butterworth, gaussian, ideal, box"),
        ("freeinit_ds", 1.1, "a number from 0 to 1"),
        ("freeinit_dt", -0.1, "a number from 0 to 1"),
        ("freeinit_iters", 1, "a whole number from 2 to 10"),
        ("request_id", "a/b", "[A-Za-z0-9._-]{0,64}"),
        ("request_id", "a" * 65, "[A-Za-z0-9._-]{0,64}"),
        ("video_source", 7, "a path"),
        ("last_frame", 7, "a picture as base64"),
        ("context_scheduler", "static", "one of uniform, standard static"),
    ],
)
def test_parse_wrong_value_names_key_value_and_what_is_allowed(key: str, value: object, allowed: str):
    with pytest.raises(ParameterError) as caught:
        parse_parameters({key: value})
    message = str(caught.value)
    assert message.startswith(f"{key} is ")
    assert allowed in message
    shown = repr(value)
    assert shown[:40] in message


@pytest.mark.parametrize(
    "name", ["../mm.ckpt", "a/../../mm.ckpt", "/etc/mm.ckpt", "C:\\mm.ckpt", "a//b", "a\nb"]
)
def test_parse_model_outside_the_model_folders_is_refused(name: str):
    with pytest.raises(ParameterError, match="module list"):
        parse_parameters({"model": name})


def test_parse_model_in_a_subfolder_is_accepted():
    assert parse_parameters({"model": "v3/mm, final.ckpt"}).model == "v3/mm, final.ckpt"


def test_parse_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"frame_rate is no parameter.*video_length, fps"):
        parse_parameters({"frame_rate": 8})


def test_parse_key_given_under_two_spellings_is_refused():
    with pytest.raises(ParameterError, match="batch_size is given twice"):
        parse_parameters({"batch_size": 8, "context_batch_size": 8})


@pytest.mark.parametrize("raw", [5, "fps", [{"fps": 8}, 3], [None] * 100])
def test_parse_arguments_of_another_shape_are_refused(raw: object):
    with pytest.raises(ParameterError, match="object"):
        parse_parameters(raw)


@pytest.mark.parametrize("formats", [[], ["PNG"], ["TXT", "Frame"]])
def test_parse_format_without_a_video_is_refused(formats: list[str]):
    with pytest.raises(ParameterError, match="at least one of GIF, MP4"):
        parse_parameters({"format": formats})


def test_parse_overlap_as_large_as_the_context_is_refused():
    with pytest.raises(ParameterError, match="overlap is 16, but must be from -1 to 15"):
        parse_parameters({"batch_size": 16, "overlap": 16})


@pytest.mark.parametrize(
    ("key", "value"), [("format", ["GIF", "AVI"]), ("format", "AVI"), ("reverse", [0, 3])]
)
def test_parse_list_with_a_wrong_entry_names_the_entry(key: str, value: object):
    with pytest.raises(ParameterError, match=rf"^{key} holds ('AVI'|3), but must be a list of "):
        parse_parameters({key: value})


def test_parse_long_wrong_value_is_cut_in_the_message():
    with pytest.raises(ParameterError) as caught:
        parse_parameters({"closed_loop": "x" * 10_000})
    assert len(str(caught.value)) < 200


def test_parameters_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Parameters().context.stride = 2  # type: ignore[misc]


# ------------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("enable", "True", True),
        ("enable", "off", False),
        ("fps", "12.5", 12.5),
        ("fps", "none", None),
        ("video_length", " 24 ", 24),
        ("format", "gif, mp4", ("GIF", "MP4")),
        ("format", "['GIF', 'PNG']", ("GIF", "PNG")),
        ("reverse", "0,2", (0, 2)),
        ("reverse", "", ()),
        ("closed_loop", "r-p", "R-P"),
        ("interp", "off", "Off"),
    ],
)
def test_read_text_gives_the_typed_value(name: str, text: str, value: object):
    assert FIELD_BY_NAME[name].read_text(text) == value


@pytest.mark.parametrize(("name", "text"), [("fps", "fast"), ("enable", "maybe"), ("video_length", "1.5")])
def test_read_text_of_a_wrong_text_is_refused(name: str, text: str):
    with pytest.raises(ParameterError, match=f"^{name} is "):
        FIELD_BY_NAME[name].read_text(text)


# ------------------------------------------------------------------------------------------------- schema


def test_json_schema_knows_every_key_and_no_other():
    schema = json_schema()
    assert set(schema["properties"]) == set(FIELD_BY_NAME)
    assert schema["additionalProperties"] is False
    assert json.loads(json.dumps(schema)) == schema


def test_json_schema_states_the_bounds_that_parsing_applies():
    properties = json_schema()["properties"]
    assert properties["freeinit_iters"]["minimum"] == 2
    assert properties["freeinit_iters"]["maximum"] == 10
    assert properties["fps"]["exclusiveMinimum"] == 0
    assert properties["closed_loop"]["enum"] == ["N", "R-P", "R+P", "A", "Seamless", None]
    assert properties["context_batch_size"]["deprecated"] is True


# ------------------------------------------------------------------------------------------------ pictures


@pytest.mark.parametrize("form", ["base64", "wrapped base64", "data URL", "PIL"])
def test_last_frame_is_read_from_every_form(form: str):
    encoded = base64_png()
    raw = {
        "base64": encoded,
        "wrapped base64": "\n".join(encoded[i : i + 20] for i in range(0, len(encoded), 20)),
        "data URL": f"data:image/png;base64,{encoded}",
        "PIL": Image.new("RGB", (3, 2), "red"),
    }[form]
    frame = parse_parameters({"last_frame": raw}).init.last_frame
    assert frame is not None
    assert frame.size == (3, 2)
    assert frame.getpixel((0, 0)) == (255, 0, 0)


def test_last_frame_is_turned_upright():
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (3, 2)).save(buffer, format="JPEG", exif=exif)
    frame = parse_parameters({"last_frame": base64.b64encode(buffer.getvalue()).decode()}).init.last_frame
    assert frame is not None
    assert frame.size == (2, 3)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("https://example.org/a.png", "neither base64 nor a data URL"),
        ("C:\\pictures\\a.png", "neither base64 nor a data URL"),
        (base64.b64encode(b"hello there").decode(), "are no picture"),
        (base64.b64encode(png_bytes((64, 64))[:60]).decode(), "damaged"),
        (base64.b64encode(png_bytes((64, 64)).replace(b"\rIHDR", b"\x08IHDR")).decode(), "damaged"),
    ],
)
def test_last_frame_that_is_no_picture_is_refused(raw: str, words: str):
    with pytest.raises(ParameterError, match=f"last_frame.*{words}"):
        parse_parameters({"last_frame": raw})


def test_last_frame_with_too_many_pixels_is_refused_unread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_module, "MAX_PIXELS", 5)
    with pytest.raises(ParameterError, match="3 x 2 pixels"):
        parse_parameters({"last_frame": base64_png()})


def test_last_frame_with_too_many_bytes_is_refused_undecoded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(received, "MAX_ENCODED_BYTES", 10)
    with pytest.raises(ParameterError, match="smaller picture"):
        parse_parameters({"last_frame": base64_png()})


# ------------------------------------------------------------------------------------- a part of the source


@pytest.mark.parametrize(
    ("raw", "read"),
    [(0, 0), (12, 12), (12.0, 12), ("12", 12), ("1.5s", "1.5s"), (" 2 S ", "2s"), ("", 0), (None, 0)],
)
def test_video_start_is_a_frame_or_a_time(raw: object, read: object):
    assert parse_parameters({"video_start": raw}).source.start == read


@pytest.mark.parametrize("raw", [-1, 1.5, "-1", "1.5", "s", "1,5s", "1h", True, [1], math.nan, "9" * 30])
def test_video_start_that_is_neither_is_refused(raw: object):
    with pytest.raises(ParameterError, match=r"video_start is .*a frame, counted from 0, or a time such as"):
        parse_parameters({"video_start": raw})


def test_video_end_is_the_end_unless_said():
    assert parse_parameters().source.end is None
    assert FIELD_BY_NAME["video_end"].read_text("none") is None


@pytest.mark.parametrize(
    ("moment", "fps", "frame"),
    [
        (7, None, 7),
        ("1.5s", Fraction(8), 12),
        ("1s", Fraction(30000, 1001), 30),
        ("0.1s", Fraction(8), 1),
        ("1.25s", Fraction(2), 3),
    ],
)
def test_a_time_is_the_nearest_frame(moment: int | str, fps: Fraction, frame: int):
    assert frame_at(moment, fps, "video_start") == frame


def test_a_time_needs_a_rate():
    with pytest.raises(ParameterError, match=r"video_end is 1s, but .* give a frame, or set fps"):
        frame_at("1s", None, "video_end")


@pytest.mark.parametrize("begin", [b"GIF89a" + b"x" * 60, b"\0\0\0 ftyp" + b"x" * 60, b"RIFF" + b"x" * 80])
def test_received_files_are_told_from_paths(begin: bytes):
    text = base64.b64encode(begin).decode()
    assert received.is_received_file(text)
    assert received.is_received_file("data:video/mp4;base64," + text)
    assert received.decode_base64(text, "video_source") == begin


@pytest.mark.parametrize("path", ["clips/a.mp4", "C:\\clips\\a.mp4", "R0lGOD", "a" * 200])
def test_paths_are_no_received_files(path: str):
    assert not received.is_received_file(path)
