"""Which motion modules there are, and those that are loaded."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.file_names import natural_key
from motion_module.camera.loading import load_camera_ctrl
from motion_module.camera.network import CameraCtrl
from motion_module.errors import NotAMotionModuleError
from motion_module.loading import load_motion_module
from motion_module.module import MotionModule
from motion_module.weights_files import SUFFIXES, files_below

# Infotexts of other versions put a hash behind the name.
_HASH_BEHIND = re.compile(r"\s*\[[0-9a-fA-F]{6,}\]$")


class ModuleLibrary:
    """The files in some folders, and the last modules used.

    `folders` is asked each time, because a setting can change it. `hash_file` gives the SHA-256 of a file
    listed under a name, or None. Nothing is read twice as long as a file's time stamp and size stay.
    """

    def __init__(
        self,
        folders: Callable[[], Sequence[Path]],
        hash_file: Callable[[Path, str], str | None] = lambda path, name: sha256(path),
    ) -> None:
        self._folders, self._hash_file = folders, hash_file
        self._loaded: dict[object, MotionModule] = {}
        self._hashes: dict[object, str | None] = {}
        self._camera: tuple[object, CameraCtrl] | None = None
        self._others: set[object] = set()  # files that are no motion modules

    def paths(self) -> dict[str, Path]:
        """Name in the list -> file, in natural order; a name that two folders have is the first one's."""
        paths: dict[str, Path] = {}
        for folder in self._folders():
            for path in files_below(folder):
                paths.setdefault(path.relative_to(folder).as_posix(), path)
        return dict(sorted(paths.items(), key=lambda item: natural_key(item[0])))

    def names(self) -> list[str]:
        """The module list."""
        return list(self.paths())

    def find(self, name: str | None) -> tuple[str, Path]:
        """The listed name and the file that `name` means; None is the first in the list. Raises UserError."""
        paths = self.paths()
        if not paths:
            raise self._nothing_found()
        if name is None:
            return next(iter(paths.items()))
        wanted = _HASH_BEHIND.sub("", name).replace("\\", "/")
        for key in (str, str.lower, _without_suffix):
            matches = [each for each in paths if key(each) == key(wanted)]
            if matches:
                return matches[0], paths[matches[0]]
        close = difflib.get_close_matches(wanted, paths, n=3, cutoff=0.3) or list(paths)[:3]
        raise UserError(f"There is no motion module {name!r}: choose another, such as {', '.join(close)}.")

    def _nothing_found(self) -> UserError:
        places = ", ".join(str(folder) for folder in self._folders())
        return UserError(
            f"There is no motion module: download one, such as v3_sd15_mm.ckpt, and put it into {places}."
        )

    def load_all(
        self, name: str | None, further: Sequence[str], dtype: torch.dtype | None = None
    ) -> list[MotionModule]:
        """The motion module of that name, and further ones. Raises UserError and MotionModuleError."""
        listed = [self.find(other)[0] for other in further]
        first = self.load(name, dtype, beside=listed)
        return [first, *(self.load(other, dtype, beside=[first.name, *listed]) for other in listed)]

    def load(
        self, name: str | None, dtype: torch.dtype | None = None, *, beside: Sequence[str] = ()
    ) -> MotionModule:
        """The motion module of that name, from memory if it was used last; its `name` is the listed one.

        None is the first file in the list that is a motion module. Modules in memory are forgotten, but for
        those `beside` it. Raises UserError and MotionModuleError.
        """
        keys = {self._key(self.find(other)[1], dtype) for other in beside}
        if name is not None:
            return self._load(*self.find(name), dtype, keys)
        for listed, path in self.paths().items():
            stamp = (path, *_stamp(path))
            if stamp in self._others:
                continue
            try:
                return self._load(listed, path, dtype, keys)
            except NotAMotionModuleError:
                self._others.add(stamp)
        raise self._nothing_found()

    def _load(self, listed: str, path: Path, dtype: torch.dtype | None, keys: set[object]) -> MotionModule:
        key = self._key(path, dtype)
        # First, so that no more are in memory than are used.
        for unused in self._loaded.keys() - {key, *keys}:
            del self._loaded[unused]
        if key not in self._loaded:
            module = load_motion_module(path, dtype=dtype)
            module.name = listed
            self._loaded[key] = module
        return self._loaded[key]

    def load_camera(self, name: str | None, module: MotionModule) -> CameraCtrl | None:
        """CameraCtrl of that listed name, in the module's dtype; from memory if it was used last.

        Raises UserError and MotionModuleError.
        """
        if name is None:
            self._camera = None
            return None
        listed, path = self.find(name)
        dtype = next(module.parameters()).dtype
        key = self._key(path, dtype)
        if self._camera is None or self._camera[0] != key:
            self._camera = None  # first, so that no two are in memory
            self._camera = key, load_camera_ctrl(path, dtype=dtype)
            self._camera[1].name = listed
        return self._camera[1]

    def _key(self, path: Path, dtype: torch.dtype | None) -> object:
        return path, _stamp(path), dtype

    def short_hash(self, name: str) -> str | None:
        """The first ten digits of the file's SHA-256, as the WebUI shows hashes; None where it makes none."""
        listed, path = self.find(name)
        key = (path, _stamp(path))
        if key not in self._hashes:
            self._hashes[key] = self._hash_file(path, listed)
        digest = self._hashes[key]
        return digest and digest[:10]

    def loaded(self, name: str) -> MotionModule | None:
        """The module of that listed name, if it is in memory."""
        return next((module for module in self._loaded.values() if module.name == name), None)

    def move_to_cpu(self) -> None:
        """Free the modules' GPU memory."""
        cameras = () if self._camera is None else (self._camera[1],)
        for module in (*self._loaded.values(), *cameras):
            module.to("cpu")

    def unload(self) -> None:
        """Free the modules' memory."""
        self._loaded, self._camera = {}, None


def _without_suffix(name: str) -> str:
    path = Path(name)
    return str(path.with_suffix("") if path.suffix.lower() in SUFFIXES else path).lower()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def sha256(path: Path) -> str:
    """The file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
