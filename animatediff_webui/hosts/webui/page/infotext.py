"""Pasting: what an infotext says about an animation, into the accordion's components."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import gradio
from gradio.components import Component

from animatediff_webui.core.errors import InfotextError
from animatediff_webui.core.infotext import KEY, parse_value
from animatediff_webui.core.parameters import FIELDS, Field, Kind, Parameters, to_api

from .widgets import WRITTEN, written_text

Reader: TypeAlias = "Callable[[Mapping[str, object]], object]"
"""From an infotext's fields to gradio's update of a component; None is none."""


def infotext_fields(components: Sequence[Component]) -> list[tuple[Component, Reader]]:
    """What the host asks about a pasted infotext: each component, and how it gets its value.

    An infotext without an animation switches ours off and changes nothing else.
    """
    return [
        (component, _reader(field))
        for field, component in zip(FIELDS, components, strict=True)
        if field.infotext_key is not None
    ]


def pasted_values(params: Mapping[str, object]) -> dict[str, object] | None:
    """API name to value of every field that infotexts hold; None where there is no animation."""
    text = params.get(KEY)
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        parameters: Parameters = parse_value(text).parameters
    except InfotextError as error:
        gradio.Warning(str(error))
        return None
    values = to_api(parameters)
    return {field.name: values[field.name] for field in FIELDS if field.infotext_key is not None}


def _reader(field: Field) -> Reader:
    def read(params: Mapping[str, object]) -> object:
        values = pasted_values(params)
        if values is None:
            return _update(False) if field.name == "enable" else None
        value = values[field.name]
        if field.kind is Kind.MODEL and value is None:
            return None
        if field.kind is Kind.CHOICES and isinstance(value, list):
            value = [str(item) for item in cast("list[object]", value)]
        if field.kind in WRITTEN:
            value = written_text(value)
        return _update(value)

    return read


def _update(value: object) -> object:
    """A gradio update: a bare value would be turned into the type of the component's first one."""
    return gradio.update(value=value)
