from pathlib import Path

from animatediff_webui.core.fields import json_value
from animatediff_webui.core.parameters import FIELDS, Field
from animatediff_webui.hosts.webui.settings import SETTINGS

PAGE = (Path(__file__).parents[4] / "docs" / "webui.md").read_text("utf-8")


def row(field: Field) -> str:
    default = shown(json_value(field.default))
    return f"| `{field.name}` | {field.label} | {field.allowed} | {default} | {field.full_help} |"


def shown(default: object) -> str:
    if isinstance(default, list):
        return ", ".join(default) or "none"
    if isinstance(default, bool):
        return str(default).lower()
    return (
        "empty"
        if default in (None, "")
        else f"{default:g}"
        if isinstance(default, (int, float))
        else str(default)
    )


def test_documentation_has_the_table_of_parameters_as_the_code_has_it():
    missing = [row(field) for field in FIELDS if row(field) not in PAGE]
    assert missing == []


def test_documentation_names_every_setting():
    assert [setting.label for setting in SETTINGS if setting.label not in PAGE] == []
