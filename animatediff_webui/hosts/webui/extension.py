"""What the WebUI's script callbacks do: find out whether a request is ours, and hand it to its run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules import hashes, paths, scripts, shared

from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import build_plan

from .controlnet import AnimateDiffArgument, build_argument
from .finish import finish, finish_clip
from .loras import LoraLibrary
from .motion_modules import ModuleLibrary
from .run import USER_ERRORS, AnimationRun
from .settings import read_settings

logger = logging.getLogger(__name__)
INFOTEXT_KEYS = ("AnimateDiff", "AnimateDiff note")

# `p` is the host's request, whose class cannot be imported where types are checked: Any.


class Extension:
    """This extension, in the host: what both of its script instances, txt2img's and img2img's, share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules = ModuleLibrary(
            self._module_folders, lambda path, name: hashes.sha256(str(path), f"animatediff/{name}")
        )
        self.loras = LoraLibrary(self._lora_folders)
        self._run: AnimationRun | None = None

    def before_process(self, p: Any, args: Sequence[Any]) -> None:
        """Begin a run if the request asks for one."""
        if self._is_nested(p):
            return
        self._run = None
        for key in INFOTEXT_KEYS:  # grids share one dict over their cells
            p.extra_generation_params.pop(key, None)
        raw = read_arguments(args)
        if raw is None:
            return
        run = AnimationRun(p, self.modules, self.loras)
        try:
            settings = read_settings(shared.opts)
            parameters = parse_parameters(raw, defaults=settings.defaults())
            if not parameters.enable:
                return
            self._run = run
            run.prepare(parameters, settings)
        except USER_ERRORS as error:
            self._run = run
            run.refuse(error)

    def before_process_batch(self, p: Any, batch_number: int) -> None:
        run = self._run_of(p)
        if run is not None and not run.is_refused:
            try:
                if batch_number:
                    finish_clip(run, batch_number - 1)
                run.begin_batch(batch_number)
            except USER_ERRORS as error:
                run.refuse(error)

    def process_batch(self, p: Any) -> None:
        run = self._run_of(p)
        if run is not None:
            run.wrap_request()

    def postprocess_image(self, p: Any, picture: Any) -> None:
        """The last word of hosts before 1.9, which paste it into what is around a mask afterwards."""
        is_last_word = not hasattr(scripts.Script, "postprocess_image_after_composite")
        if is_last_word and not (p.overlay_images or p.color_corrections):
            self.postprocess_image_after_composite(p, picture)

    def postprocess_image_after_composite(self, p: Any, picture: Any) -> None:
        run = self._run_of(p)
        if run is not None:
            run.pictures.append(picture)

    def postprocess(self, p: Any, processed: Any) -> None:
        """Write the last clip, and give the request back as it was."""
        run = self._run_of(p)
        if run is None:
            return
        try:
            finish(run, processed)
        finally:
            run.end()
            self._run = None

    def controlnet_argument(self, p: Any, args: Sequence[Any]) -> AnimateDiffArgument | None:
        """What sd-webui-controlnet is told about a request; it asks before the run has begun, too."""
        run = self._run_of(p)
        if run is not None:
            return None if run.is_refused else run.argument
        raw = None if self._is_nested(p) else read_arguments(args)
        try:
            parameters = parse_parameters(raw, defaults=read_settings(shared.opts).defaults())
        except USER_ERRORS:
            return None
        return build_argument(parameters, build_plan(parameters, module=None)) if parameters.enable else None

    def _run_of(self, p: Any) -> AnimationRun | None:
        return self._run if self._run is not None and self._run.p is p else None

    def _is_nested(self, p: Any) -> bool:
        """Whether a run of ours is on, and `p` is a request that an extension makes in the middle of it."""
        run = self._run
        return run is not None and run.p is not p and not run.is_over and run.job == shared.state.time_start

    def _module_folders(self) -> list[Path]:
        models = Path(paths.models_path) / "AnimateDiff"
        return [*read_settings(shared.opts).model_folders, models, self.folder / "model"]

    def _lora_folders(self) -> list[Path]:
        named = (getattr(shared.cmd_opts, name, None) for name in ("lora_dir", "lyco_dir_backcompat"))
        return [Path(folder) for folder in (*named, Path(paths.models_path) / "Lora") if folder]


def read_arguments(args: Sequence[Any]) -> Any:
    """What a request's script arguments say, for `parse_parameters`; None if it is not for us.

    The page sends all values in table order. Clients send one object, or several, in front of the page's
    defaults, or a list of values. (Any: JSON.)
    """
    objects = [arg for arg in args if isinstance(arg, dict)]
    if objects:
        is_off = any(each.get("enable") is False for each in objects)
        return None if is_off else objects
    if args and isinstance(args[0], (list, tuple)):
        return list(args[0])
    return list(args) if args and args[0] else None
