"""Frames on disk: what lets several writers each take a long clip one frame at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, overload

from PIL import Image

from .errors import MediaError


class FrameSelection(Sequence[Image.Image]):
    """Some frames of a store, in any order; each is read from the disk when it is asked for."""

    def __init__(self, store: FrameStore, indices: Sequence[int]) -> None:
        self._store, self._indices = store, indices

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every frame."""
        return self._store.size

    def selected(self, indices: Iterable[int]) -> FrameSelection:
        """Those of these frames, by their places here; places that there are not are passed over."""
        places = range(len(self))
        return FrameSelection(self._store, [self._indices[index] for index in indices if index in places])

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image.Image]: ...
    def __getitem__(self, index: int | slice) -> Image.Image | list[Image.Image]:
        if isinstance(index, slice):
            return [self._store.read(each) for each in self._indices[index]]
        return self._store.read(self._indices[index])

    def __iter__(self) -> Iterator[Image.Image]:
        return map(self._store.read, self._indices)


class FrameStore:
    """RGB frames of one size, kept in an unnamed temporary file that vanishes when closed.

    Raw, so that any frame is one seek away and ffmpeg can read the file as it is: a clip takes
    3 * width * height * frames bytes of disk, and one frame of memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """The file lies in `folder` or where temporary files go: where there is more room."""
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=_roomiest(folder), buffering=0)  # noqa: SIM115 (see __exit__)
        self._size: tuple[int, int] | None = None
        self._count = 0

    def __enter__(self) -> FrameStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every frame."""
        if self._size is None:
            raise MediaError("The clip has no frames: give at least one.")
        return self._size

    def append(self, image: Image.Image) -> None:
        """Add a frame; its size must be the first one's."""
        if self._size is None:
            self._size = image.size
        if image.size != self._size:
            raise MediaError(
                f"Frame {self._count} is {image.width} x {image.height} pixels, but the clip began with "
                f"{self._size[0]} x {self._size[1]}: give frames of one size."
            )
        data = memoryview(image.convert("RGB").tobytes())
        self._file.seek(self._count * len(data))
        while data:
            data = data[self._file.write(data) :]
        self._count += 1

    def fill(self, frames: Iterable[Image.Image]) -> BaseException | None:
        """Add all of `frames`; what they raise on the way is returned, for after the frames that came."""
        try:
            for frame in frames:
                self.append(frame)
        except BaseException as interruption:  # Ctrl-C is one too; the caller raises it again
            return interruption
        return None

    def read(self, index: int) -> Image.Image:
        """Frame `index`, counted from 0."""
        width, height = self.size
        num_bytes = width * height * 3
        self._file.seek(range(self._count)[index] * num_bytes)
        return Image.frombytes("RGB", self.size, _read_exactly(self._file, num_bytes))

    def selected(self, indices: Sequence[int]) -> FrameSelection:
        """The frames of these indices."""
        return FrameSelection(self, indices)

    def stream(self) -> IO[bytes]:
        """The file, at its beginning, as another program's input: frame after frame of rgb24."""
        self._file.seek(0)
        return self._file


def _roomiest(folder: Path | None) -> Path:
    """Where there is more free space: `folder`, or where the system keeps temporary files."""
    temporary = Path(tempfile.gettempdir())
    if folder is None or shutil.disk_usage(temporary).free > shutil.disk_usage(folder).free:
        return temporary
    return folder


def _read_exactly(file: IO[bytes], num_bytes: int) -> bytes:
    """An unbuffered read may return less than asked for (Linux stops at 2 GiB)."""
    parts: list[bytes] = []
    while num_bytes and (chunk := file.read(num_bytes)):
        parts.append(chunk)
        num_bytes -= len(chunk)
    return b"".join(parts)
