"""Pose files: how a camera moved, as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from animatediff_webui.core.errors import ParameterError, UserError

from .errors import UnreadableMediaError
from .readers.local import local_path

if TYPE_CHECKING:
    from animatediff_webui.core.parameters import Parameters

LARGEST = 16 * 2**20
"""Bytes; a camera is about 200 of them."""


def read_poses(source: str, find: Callable[[str], Path] = local_path) -> str:
    """The text of a pose file; what has several lines is that text itself.

    `find` gives the file of a path, and may refuse it. Raises UnreadableMediaError for what is no text.
    """
    if "\n" in source:
        return source
    file = find(source)
    try:
        if file.is_dir() or file.stat().st_size > LARGEST:
            raise UnreadableMediaError(
                f"{source} is no pose file: give a text of RealEstate10K of at most {LARGEST // 2**20} MiB."
            )
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableMediaError(f"{source} is no text: give a pose file of RealEstate10K.") from error
    except OSError as error:
        raise UnreadableMediaError(
            f"{source} cannot be read ({error.strerror}): check its permissions."
        ) from error


def with_poses(parameters: Parameters, find: Callable[[str], Path] = local_path) -> Parameters:
    """The parameters with the lines of their pose file in its place, if a camera model is to follow it.

    Raises ParameterError where it cannot be read.
    """
    camera = parameters.motion.camera
    if camera.poses is None or camera.model is None:
        return parameters
    try:
        lines = read_poses(camera.poses, find).rstrip("\n")
    except UserError as error:
        raise ParameterError(f"camera_poses cannot be read: {error}") from error
    camera = replace(camera, poses=f"{lines}\n")
    return replace(parameters, motion=replace(parameters.motion, camera=camera))
