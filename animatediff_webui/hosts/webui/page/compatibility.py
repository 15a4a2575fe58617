"""Where gradio 3.41 and 4.40, and the hosts around them, differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

# gradio's classes are built at run time, and the host changes them: Any.

IS_GRADIO_3 = gr.__version__.startswith("3.")
JS_ARGUMENT = "_js" if IS_GRADIO_3 else "js"


def with_script(javascript: str) -> dict[str, str]:
    """The argument of an event that names the page's function to call first."""
    return {JS_ARGUMENT: javascript}


def tool_button(text: str, elem_id: str, tooltip: str) -> Any:
    """A button as wide as its one sign; the host's own where there is one, which knows tooltips."""
    try:
        from modules.ui_components import ToolButton
    except ImportError:
        return unsaved(
            gr.Button(text, elem_id=elem_id, elem_classes=["tool", "animatediff-tool"], min_width=40)
        )
    return unsaved(ToolButton(value=text, elem_id=elem_id, tooltip=tooltip))


def row(**arguments: Any) -> Any:
    """A row; the host's own fits its forms."""
    try:
        from modules.ui_components import FormRow
    except ImportError:
        return gr.Row(**arguments)
    return FormRow(**arguments)


def image(**arguments: Any) -> Any:
    """A picture to upload."""
    source = {"source": "upload"} if IS_GRADIO_3 else {"sources": ["upload", "clipboard"]}
    return gr.Image(type="pil", **source, **arguments)


def empty_at_zero(number: Any) -> Any:
    """A number whose 0 is read as empty: gradio 3 shows empty ones as 0, and sends that."""
    read = number.preprocess
    number.preprocess = lambda payload: read(payload) or None
    return number


def unsaved(component: Any) -> Any:
    """A component that the host leaves out of ui-config.json."""
    component.do_not_save_to_config = True
    return component


def uploaded_path(upload: Any) -> Path | None:
    """The file behind an upload: a path, an object with a name, or a list of either."""
    if isinstance(upload, Sequence) and not isinstance(upload, str):
        upload = upload[0] if upload else None
    name = getattr(upload, "name", upload)
    return Path(name) if isinstance(name, (str, Path)) and str(name) else None
