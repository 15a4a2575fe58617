from types import SimpleNamespace

import pytest

from animatediff_webui.hosts.webui.page.settings import OPTIONS
from animatediff_webui.hosts.webui.settings import PREFIX, Settings, read_settings


def opts(**changed):
    values = {option.name: option.default for option in OPTIONS} | changed
    return SimpleNamespace(**{PREFIX + name: value for name, value in values.items()})


def test_settings_untouched_are_the_hosts_defaults():
    settings = read_settings(opts())
    assert settings == Settings(formats=tuple(settings.formats))
    assert settings.defaults() == Settings().defaults()


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_setting_is_read_by_the_host(option):
    values = {"beta_schedule": "linear", "default_save_formats": ["MP4"], "s3_enable": True}
    texts = option.arguments.get("choices", ["x"])
    kinds = {bool: not option.default, int: 3, str: next(text for text in texts if text != option.default)}
    changed = {"s3_enable": True, "s3_bucket": "bucket"} if option.name.startswith("s3_") else {}
    before = read_settings(opts(**(changed if option.name != "s3_enable" else {"s3_bucket": "bucket"})))
    changed[option.name] = values.get(option.name, kinds.get(type(option.default)))
    assert read_settings(opts(**changed)) != before
