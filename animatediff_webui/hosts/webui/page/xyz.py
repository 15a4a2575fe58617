"""The host's XYZ plot: axes for an animation's parameters, and grids that move."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

from modules import scripts, shared

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.frame_rate import DEFAULT_FPS
from animatediff_webui.hosts.webui.answer import VIDEO_ATTRIBUTE
from animatediff_webui.hosts.webui.arguments import is_enabled, with_value
from animatediff_webui.hosts.webui.host_types import GridCells, Request
from animatediff_webui.media.errors import MediaError

from .animated_grid import Cell, write_grid
from .axes import LABEL, Axis, build_axes

logger = logging.getLogger(__name__)
TITLE = "animatediff"


class AxisOption(Protocol):
    """An axis in the host's list."""

    label: str


class XyzModule(Protocol):
    """The host's script `xyz_grid.py`."""

    axis_options: list[AxisOption]
    AxisOption: Callable[..., AxisOption]


def register_axes() -> None:
    """Put the axes into the host's list, in the place of those that are there, if its script is loaded."""
    module = _xyz_module()
    if module is None:
        return
    options = module.axis_options
    options[:] = [option for option in options if not option.label.startswith(LABEL)]
    options.extend(_axis_option(module, axis) for axis in build_axes())


def on_image_grid(parameters: GridCells) -> None:
    """Write an animated grid beside one whose cells are animations' first frames."""
    cells = [Cell(image, getattr(image, VIDEO_ATTRIBUTE, None)) for image in parameters.imgs]
    if not any(cell.video for cell in cells):
        return
    try:
        path = write_grid(cells, parameters.cols, _grid_folder(), fps=DEFAULT_FPS)
        logger.info("AnimateDiff: the animated grid is %s", path)
    except (MediaError, OSError) as error:
        logger.warning("AnimateDiff: the animated grid was not written: %s", error)


def _xyz_module() -> XyzModule | None:
    for data in scripts.scripts_data:
        if Path(data.path).name == "xyz_grid.py" and hasattr(data.module, "axis_options"):
            return cast("XyzModule", data.module)
    return None


def _axis_option(module: XyzModule, axis: Axis) -> AxisOption:
    def apply(p: Request, value: str | float, values: Sequence[str | float]) -> None:
        start, end = _argument_range(p)
        everything = list(p.script_args)
        ours = with_value(everything[start:end], axis.field.name, axis.read(value))
        p.script_args = [*everything[:start], *ours, *everything[end:]]

    def confirm(p: Request, values: Sequence[str | float]) -> None:
        start, end = _argument_range(p)
        if not is_enabled(p.script_args[start:end]):
            raise ParameterError(
                f"{axis.label} is an axis, but AnimateDiff is off: enable it in its accordion."
            )
        for value in values:
            axis.read(value)

    kind = _img2img_kind(module) if axis.is_img2img_only else module.AxisOption
    choices = (lambda: list(axis.choices)) if axis.choices else None
    return kind(axis.label, axis.type, apply, confirm=confirm, cost=axis.cost, choices=choices)


def _img2img_kind(module: XyzModule) -> Callable[..., AxisOption]:
    """The kind of axes that only img2img has, by one of the host's own: not every host gives it a name."""
    kinds = (type(option) for option in module.axis_options if getattr(option, "is_img2img", False))
    return next(kinds, module.AxisOption)


def _argument_range(p: Request) -> tuple[int, int]:
    """Where our script's arguments begin and end among the request's."""
    everyone = p.scripts.alwayson_scripts if p.scripts is not None else ()
    script = next(script for script in everyone if script.title().lower() == TITLE)
    return script.args_from, script.args_to


def _grid_folder() -> Path:
    return Path(shared.opts.outdir_grids or shared.opts.outdir_txt2img_grids)
