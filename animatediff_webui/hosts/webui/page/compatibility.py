"""Where gradio 3.41 and 4.40, and the hosts around them, differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, cast

import gradio as gr
from gradio.blocks import BlockContext
from gradio.components import Component

C = TypeVar("C", bound=Component)
IS_GRADIO_3 = gr.__version__.startswith("3.")
JS_ARGUMENT = "_js" if IS_GRADIO_3 else "js"


def with_script(javascript: str) -> dict[str, str]:
    """The argument of an event that names the page's function to call first."""
    return {JS_ARGUMENT: javascript}


def row(elem_classes: list[str]) -> BlockContext:
    """A row; the host's own fits its forms."""
    try:
        from modules.ui_components import FormRow
    except ImportError:
        return gr.Row(elem_classes=elem_classes)
    return FormRow(elem_classes=elem_classes)


def image(**arguments: object) -> gr.Image:
    """A picture to upload."""
    source = {"source": "upload"} if IS_GRADIO_3 else {"sources": ["upload", "clipboard"]}
    return gr.Image(type="pil", **source, **arguments)


def unsaved(component: C) -> C:
    """A component that the host leaves out of ui-config.json."""
    component.do_not_save_to_config = True
    return component


def uploaded_path(upload: object) -> Path | None:
    """The file behind an upload: a path, an object with a name, or a list of either."""
    return next(iter(uploaded_paths(upload)), None)


def uploaded_paths(upload: object) -> list[Path]:
    """The files behind an upload of one or several."""
    uploads: Sequence[object] = [upload]
    if isinstance(upload, Sequence) and not isinstance(upload, str):
        uploads = cast("Sequence[object]", upload)
    names = [getattr(each, "name", each) for each in uploads]
    return [Path(name) for name in names if isinstance(name, (str, Path)) and str(name)]
