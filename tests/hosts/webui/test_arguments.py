import pytest

from animatediff_webui.core.parameters import Parameters, parse_parameters, to_api
from animatediff_webui.hosts.webui.arguments import is_enabled, read_arguments, with_value


def test_value_is_replaced_among_those_of_the_page():
    arguments = list(to_api(parse_parameters({"enable": True})).values())
    changed = with_value(arguments, "overlap", 3)
    assert parse_parameters(changed) == parse_parameters({"enable": True, "overlap": 3})
    assert parse_parameters(arguments).context.overlap == Parameters().context.overlap


@pytest.mark.parametrize("arguments", [[{"enable": True}], [[True]], [True]])
def test_value_is_replaced_in_what_a_client_sends(arguments):
    changed = with_value(arguments, "overlap", 3)
    raw = changed[0] if isinstance(changed[0], (dict, list)) else changed
    assert parse_parameters(raw).context.overlap == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([True, None], True),
        ([False], False),
        ([], False),
        ([{"enable": True}], True),
        ([{}], False),
        ([[True]], True),
    ],
)
def test_arguments_tell_whether_animations_are_on(arguments, expected):
    assert is_enabled(arguments) is expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([{"enable": True}, {"fps": 8}, False], [{"enable": True}, {"fps": 8}]),
        ([{"fps": 8}, {"enable": False}], None),
        ([[True, "a.ckpt"], False], [True, "a.ckpt"]),
        ([True, "a.ckpt"], [True, "a.ckpt"]),
        ([False, "a.ckpt"], None),
        ([], None),
    ],
)
def test_arguments_of_every_shape_are_found_or_are_not_ours(arguments, expected):
    assert read_arguments(arguments) == expected
