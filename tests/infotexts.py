"""Reading an animation out of a whole infotext, as a WebUI does before it hands on the field's value."""

from __future__ import annotations

import json
import re

from animatediff_webui.core.infotext import KEY, AnimationInfo, parse_value

FIELD = re.compile(rf'(?:^|[,\n])\s*{KEY}:\s*("(?:\\.|[^\\"])+"|[^,\n]*)')


def find_animation(infotext: str) -> AnimationInfo | None:
    """What an infotext says about an animation; None if there is none in it."""
    found = FIELD.findall(infotext)
    if not found:
        return None
    quoted = found[-1].strip()
    return parse_value(str(json.loads(quoted)) if quoted.startswith('"') else quoted)
