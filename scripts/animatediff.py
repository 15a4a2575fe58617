"""The WebUI's door: wiring only."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from modules import extensions, script_callbacks, scripts, shared

import motion_module

if TYPE_CHECKING:
    from fastapi import FastAPI
    from gradio.components import Component

    from animatediff_webui.hosts.webui.controlnet.argument import AnimateDiffArgument
    from animatediff_webui.hosts.webui.host_types import PostprocessedImage, Processed, Request

FOLDER = Path(scripts.basedir()).resolve()


def find_other_extensions() -> list[str]:
    """Other AnimateDiff extensions that are active, whatever their folders are called."""
    folders = {active.name: Path(active.path) for active in extensions.active()}
    return [
        name
        for name, path in folders.items()
        if path.resolve() != FOLDER and (path / "scripts" / "animatediff_mm.py").is_file()
    ]


others = find_other_extensions()
# One that was loaded before this one owns the name.
owner = Path(motion_module.__file__ or "motion_module").resolve()
is_ours = FOLDER in owner.parents
if others:
    print(f"*** Two AnimateDiff extensions are active: disable {' and '.join(others)}.", file=sys.stderr)
elif not is_ours:
    print(f"*** AnimateDiff is off, as {owner} has its name: disable what that belongs to.", file=sys.stderr)

if is_ours:
    from animatediff_webui.hosts.webui.api import add_routes
    from animatediff_webui.hosts.webui.batch import take_over_batches
    from animatediff_webui.hosts.webui.extension import Extension
    from animatediff_webui.hosts.webui.page import settings, xyz
    from animatediff_webui.hosts.webui.page.accordion import build_accordion
    from animatediff_webui.hosts.webui.page.failures import show_failures
    from animatediff_webui.hosts.webui.page.infotext import infotext_fields

    # sd-webui-controlnet finds these by name, once they are imported.
    doors = [import_module(f"scripts.animatediff_{name}") for name in ("utils", "mm", "i2ibatch")]
    extension = Extension(FOLDER)

    class AnimateDiffScript(scripts.Script):
        """Hands the host's callbacks on."""

        def title(self) -> str:
            return "AnimateDiff"

        def show(self, is_img2img: bool) -> object:
            return scripts.AlwaysVisible

        def ui(self, is_img2img: bool) -> list[Component]:
            components = build_accordion(is_img2img, extension.modules, extension.default_parameters())
            self.infotext_fields = infotext_fields(components)
            return components

        def before_process(self, p: Request, *args: object) -> None:
            extension.before_process(p, args)

        def before_process_batch(self, p: Request, *args: object, batch_number: int, **batch: object) -> None:
            extension.before_process_batch(p, batch_number)

        def process_batch(self, p: Request, *args: object, **batch: object) -> None:
            extension.process_batch(p)

        def postprocess_image(self, p: Request, pp: PostprocessedImage, *args: object) -> None:
            extension.postprocess_image(p, pp)

        def postprocess_image_after_composite(
            self, p: Request, pp: PostprocessedImage, *args: object
        ) -> None:
            extension.postprocess_image_after_composite(p, pp)

        def postprocess(self, p: Request, processed: Processed, *args: object) -> None:
            extension.postprocess(p, processed)

        def controlnet_argument(self, p: Request) -> AnimateDiffArgument | None:
            return extension.controlnet_argument(p, p.script_args[self.args_from : self.args_to])

    def add_api(demo: object, app: FastAPI) -> None:
        add_routes(app, extension.modules, shared.cmd_opts.api_auth)

    script_callbacks.on_app_started(add_api)
    script_callbacks.on_ui_settings(settings.on_ui_settings)
    script_callbacks.on_before_ui(xyz.register_axes)
    script_callbacks.on_image_grid(xyz.on_image_grid)
    script_callbacks.on_script_unloaded(take_over_batches())
    script_callbacks.on_script_unloaded(show_failures(extension.is_failure))
    # An API without a page lists its axes before it calls back.
    xyz.register_axes()
