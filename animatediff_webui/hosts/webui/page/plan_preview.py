"""What a click on "Preview plan" shows: the plan as a table, or the sentence that refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import ModuleLimits, build_plan, format_plan
from animatediff_webui.core.steps import DEFAULT_STEPS
from animatediff_webui.media.sources import opened_source

from .pieces import warning_html


@dataclass(frozen=True)
class PromptFields:
    """What a plan and a source need of the page's own fields; `size` is width and height."""

    prompt: str = ""
    negative_prompt: str = ""
    steps: int = DEFAULT_STEPS
    size: tuple[int, int] | None = None


def read_prompt_fields(text: str) -> PromptFields:
    """The fields from the JSON object that the page's script makes of them."""
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return PromptFields()
    steps, width, height = (str(values.get(name, "")) for name in ("steps", "width", "height"))
    has_size = width.isdecimal() and height.isdecimal() and int(width) and int(height)
    return PromptFields(
        str(values.get("prompt", "")),
        str(values.get("negative_prompt", "")),
        max(1, int(steps)) if steps.isdecimal() else DEFAULT_STEPS,
        (int(width), int(height)) if has_size else None,
    )


def preview_plan(
    values: Mapping[str, object],
    module: ModuleLimits | None,
    page: PromptFields,
    readable: Callable[[str], Path],
) -> str:
    """The plan for these widgets' values, as HTML; `readable` opens what may be named as a source."""
    try:
        parameters = parse_parameters(values)
        with opened_source(parameters, readable) as clip:
            plan = build_plan(
                parameters,
                module=module,
                prompt=page.prompt,
                negative_prompt=page.negative_prompt,
                sources=clip.infos,
                num_steps=page.steps,
            )
        parameters.source.keyframes.check(plan.num_frames)
    except UserError as error:
        return warning_html(str(error))
    return f'<pre class="animatediff-plan">{escape(format_plan(plan, page.steps))}</pre>'
