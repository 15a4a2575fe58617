"""The host's XYZ plot: axes for an animation's parameters, and grids that move."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.plan import DEFAULT_FPS
from animatediff_webui.media import MediaError

from .animated_grid import Cell, write_grid
from .axes import LABEL, Axis, build_axes, is_enabled, replaced_argument

logger = logging.getLogger(__name__)
TITLE = "animatediff"
VIDEO_ATTRIBUTE = "animatediff_video"
"""Where a picture names the file it is the first frame of."""

# The host's modules and requests cannot be imported where types are checked: Any.


def register_axes() -> None:
    """Put the axes into the host's list, in the place of those of an earlier start of the page.

    The host forgets callbacks before each start, so that there is one for grids as well.
    """
    from modules import script_callbacks

    script_callbacks.on_image_grid(on_image_grid)
    module = _xyz_module()
    if module is None:
        return
    options = module.axis_options
    options[:] = [option for option in options if not option.label.startswith(LABEL)]
    options.extend(_axis_option(module, axis) for axis in build_axes())


def on_image_grid(parameters: Any) -> None:
    """Write an animated grid beside one whose cells are animations' first frames."""
    cells = [Cell(image, getattr(image, VIDEO_ATTRIBUTE, None)) for image in parameters.imgs]
    if not any(cell.video for cell in cells):
        return
    try:
        path = write_grid(cells, parameters.cols, _grid_folder(), fps=DEFAULT_FPS)
        logger.info("AnimateDiff: the animated grid is %s", path)
    except (MediaError, OSError) as error:
        logger.warning("AnimateDiff: the animated grid was not written: %s", error)


def _xyz_module() -> ModuleType | None:
    from modules import scripts

    for data in scripts.scripts_data:
        if Path(data.path).name == "xyz_grid.py" and hasattr(data.module, "axis_options"):
            return data.module
    return None


def _axis_option(module: Any, axis: Axis) -> Any:
    kind = module.AxisOptionImg2Img if axis.is_img2img_only else module.AxisOption
    choices = (lambda: list(axis.choices)) if axis.choices else None

    def apply(p: Any, value: Any, values: Sequence[Any]) -> None:
        script = _script_of(p)
        start, end = script.args_from, script.args_to
        everything = list(p.script_args)
        ours = replaced_argument(everything[start:end], axis.field.name, axis.read(value))
        p.script_args = [*everything[:start], *ours, *everything[end:]]

    def confirm(p: Any, values: Sequence[Any]) -> None:
        script = _script_of(p)
        if not is_enabled(p.script_args[script.args_from : script.args_to]):
            raise ParameterError(
                f"{axis.label} is an axis, but AnimateDiff is off: enable it in its accordion."
            )
        for value in values:
            axis.read(value)

    return kind(axis.label, axis.type, apply, confirm=confirm, cost=axis.cost, choices=choices)


def _script_of(p: Any) -> Any:
    return next(script for script in p.scripts.alwayson_scripts if script.title().lower() == TITLE)


def _grid_folder() -> Path:
    from modules import shared

    return Path(shared.opts.outdir_grids or shared.opts.outdir_txt2img_grids)
