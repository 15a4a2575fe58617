"""The section "AnimateDiff" of the host's settings."""

from __future__ import annotations

import gradio
from modules import shared

from animatediff_webui.hosts.webui.settings import PREFIX, SETTINGS, AnySetting

SECTION = ("animatediff", "AnimateDiff")


def on_ui_settings() -> None:
    """Add the section to the host's settings."""
    for setting in SETTINGS:
        component = getattr(gradio, setting.component) if setting.component else None
        info = shared.OptionInfo(
            setting.default, setting.label, component, arguments(setting) or None, section=SECTION
        )
        shared.opts.add_option(PREFIX + setting.name, info.info(setting.help) if setting.help else info)


def arguments(setting: AnySetting) -> dict[str, object]:
    """What gradio needs to know beside default and label; it changes the list of choices it is given."""
    if setting.choices:
        return {"choices": list(setting.choices)}
    if setting.bounds is None:
        return {}
    low, high = setting.bounds
    return {"minimum": low, "maximum": high, "step": 1}
