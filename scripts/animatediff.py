"""The WebUI's door: wiring only."""

import sys
from importlib import import_module
from pathlib import Path

from modules import extensions, script_callbacks, scripts, shared

import motion_module

FOLDER = Path(scripts.basedir()).resolve()
others = [
    extension.name
    for extension in extensions.active()
    if (Path(extension.path) / "scripts" / "animatediff_mm.py").is_file()
    and Path(extension.path).resolve() != FOLDER
]
if others:
    print(
        f"*** Two AnimateDiff extensions are active: disable {', '.join(others)} and restart.",
        file=sys.stderr,
    )

# Another AnimateDiff extension that was loaded before this one owns the name.
if FOLDER in Path(motion_module.__file__).resolve().parents:
    try:
        from animatediff_webui.ui import settings, xyz
        from animatediff_webui.ui.accordion import build_accordion
        from animatediff_webui.ui.infotext import infotext_fields
    except ImportError:
        import gradio as gr
        from types import SimpleNamespace as NS
        from animatediff_webui.core.parameters import FIELDS
        settings, xyz = NS(on_ui_settings=lambda: None), NS(register_axes=lambda: None)
        infotext_fields = lambda components: []
        build_accordion = lambda is_img2img, extension: [gr.State(False), *[gr.State(None) for _ in FIELDS[1:]]]

    from animatediff_webui.hosts.a1111_api import add_routes
    from animatediff_webui.hosts.a1111_batch import take_over_batches
    from animatediff_webui.hosts.a1111_extension import Extension

    # sd-webui-controlnet finds these by name, once they are imported.
    for name in ("animatediff_utils", "animatediff_mm", "animatediff_i2ibatch"):
        import_module(f"scripts.{name}")

    extension = Extension(FOLDER)

    class AnimateDiffScript(scripts.Script):
        """Hands the host's callbacks on."""

        def title(self):
            return "AnimateDiff"

        def show(self, is_img2img):
            return scripts.AlwaysVisible

        def ui(self, is_img2img):
            components = build_accordion(is_img2img, extension)
            self.infotext_fields = infotext_fields(components)
            return components

        def before_process(self, p, *args):
            extension.before_process(p, args)

        def before_process_batch(self, p, *args, batch_number=0, **kwargs):
            extension.before_process_batch(p, batch_number)

        def process_batch(self, p, *args, **kwargs):
            extension.process_batch(p)

        def postprocess(self, p, processed, *args):
            extension.postprocess(p, processed)

        def controlnet_argument(self, p):
            return extension.controlnet_argument(p, p.script_args[self.args_from : self.args_to])

    def is_animation(p):
        answer = import_module("scripts.animatediff_utils").get_animatediff_arg(p)
        return answer is not None and answer.enable

    script_callbacks.on_app_started(
        lambda demo, app: add_routes(app, extension.modules, getattr(shared.cmd_opts, "api_auth", None))
    )
    script_callbacks.on_ui_settings(settings.on_ui_settings)
    script_callbacks.on_before_ui(xyz.register_axes)
    script_callbacks.on_script_unloaded(take_over_batches(is_animation))
