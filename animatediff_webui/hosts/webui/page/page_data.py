"""What the page's script has to know of the tables here, so that it states none of it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape

from animatediff_webui.core.formats import FORMATS
from animatediff_webui.core.frame_rate import DEFAULT_FPS
from animatediff_webui.core.plan import DEFAULT_CONTEXT_LENGTH

from .widgets import PREFIX, Widget


def page_data(widgets: Iterable[Widget], tooltips: Mapping[str, str]) -> dict[str, object]:
    """As JSON: what files of each format are, what empty numbers mean, and the tooltips by element."""
    return {
        "formats": {
            row.name: {"is_playable": row.is_playable, "is_folder": not row.suffix}
            for row in FORMATS.values()
        },
        "hints": {"fps": f"{DEFAULT_FPS:g}", "batch_size": str(DEFAULT_CONTEXT_LENGTH)},
        "tooltips": {**{widget.name: widget.tooltip for widget in widgets if widget.tooltip}, **tooltips},
    }


def to_html(data: Mapping[str, object]) -> str:
    """An element that is not seen, with the data in it."""
    return f'<div class="{PREFIX}-data" hidden data-page="{escape(json.dumps(data))}"></div>'
