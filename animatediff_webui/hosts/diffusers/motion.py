"""Which motion module a clip is animated by."""

from __future__ import annotations

from pathlib import Path

from animatediff_webui.core.errors import UserError
from motion_module.camera.loading import load_camera_ctrl
from motion_module.camera.network import CameraCtrl
from motion_module.loading import load_motion_module
from motion_module.module import MotionModule
from motion_module.weights_files import files_below

from .model_options import NO_MODULE, ModelOptions

USER_MODULES = Path(__file__).resolve().parents[3] / "model"


def find_motion_module(options: ModelOptions) -> Path | None:
    """The motion module's file, None for "none". Raises UserError where there is none to be found."""
    if options.motion_module is not None and str(options.motion_module) == NO_MODULE:
        return None
    if options.motion_module is not None:
        return Path(options.motion_module)
    paths = sorted(files_below(USER_MODULES))
    if not paths:
        raise UserError(
            f"There is no motion module in {USER_MODULES}: put one there, name one with --model FILE, or use "
            "--model none for pictures that do not move."
        )
    return paths[0]


def load_motion(options: ModelOptions) -> MotionModule | None:
    """The motion module, on the device and in the checkpoint's number format. Raises MotionModuleError."""
    path = find_motion_module(options)
    if path is None:
        return None
    return load_motion_module(path, dtype=options.torch_dtype).to(options.torch_device).eval()


def load_further(name: str, options: ModelOptions) -> MotionModule:
    """A motion module beside the first, by its file's name. Raises UserError where there is none."""
    path = find_further(name, options)
    return load_motion_module(path, dtype=options.torch_dtype).to(options.torch_device).eval()


def load_camera(name: str, options: ModelOptions) -> CameraCtrl:
    """CameraCtrl for the first motion module, likewise."""
    camera = load_camera_ctrl(find_further(name, options), dtype=options.torch_dtype)
    return camera.to(options.torch_device)


def find_further(name: str, options: ModelOptions) -> Path:
    """A file beside the first motion module's or in model/, by its name, with or without its ending.

    Raises UserError where there is none.
    """
    first = find_motion_module(options)
    places = [USER_MODULES] if first is None else [USER_MODULES, first.parent]
    for folder in places:
        for path in sorted(files_below(folder)):
            listed = path.relative_to(folder)
            if name in (listed.as_posix(), listed.with_suffix("").as_posix()):
                return path
    where = " or ".join(str(folder) for folder in places)
    raise UserError(f"There is no motion module {name!r} in {where}: put its file there.")
