from types import SimpleNamespace

import pytest

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.webui.settings import PREFIX, SETTINGS, read_settings
from animatediff_webui.media import WriterOptions
from animatediff_webui.media.options import BOUNDS, CHOICES

OTHERS = {"beta_schedule": "linear", "default_save_formats": ["MP4"]}


def opts(**changed):
    values = {setting.name: setting.default for setting in SETTINGS} | changed
    return SimpleNamespace(**{PREFIX + name: value for name, value in values.items()})


def other_value(setting):
    """A value that is allowed, and not the default."""
    if setting.name in OTHERS:
        return OTHERS[setting.name]
    if isinstance(setting.default, bool):
        return not setting.default
    if isinstance(setting.default, int):
        return setting.bounds[0] + 1
    return next((choice for choice in setting.choices if choice != setting.default), "other")


def test_host_that_knows_no_settings_gives_the_defaults():
    assert read_settings(SimpleNamespace()) == read_settings(opts()) == read_settings()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_read(setting):
    around = {"s3_enable": True, "s3_bucket": "bucket"} if setting.name.startswith("s3_") else {}
    around.pop(setting.name, None)
    changed = opts(**{**around, setting.name: other_value(setting)})
    assert read_settings(changed) != read_settings(opts(**around))


def test_writers_settings_have_the_writers_names_and_bounds():
    rows = {setting.name: setting for setting in SETTINGS}
    assert set(vars(WriterOptions())) <= set(rows)
    assert {name: rows[name].bounds for name in BOUNDS} == dict(BOUNDS)
    assert {name: rows[name].choices for name in CHOICES} == dict(CHOICES)


def test_sliders_of_gradio_3_give_floats():
    assert read_settings(opts(mp4_crf=21.0)).writer == WriterOptions(mp4_crf=21)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("beta_schedule", "wild", "beta schedule is 'wild'"), ("mp4_crf", 99, "mp4_crf is 99")],
)
def test_setting_that_cannot_be_used_is_named(name, value, words):
    with pytest.raises(UserError, match=words):
        read_settings(opts(**{name: value}))
