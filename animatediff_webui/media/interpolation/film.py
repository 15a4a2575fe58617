"""FILM (Reda et al., arXiv 2202.04901): frames in between by the network's TorchScript file."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from animatediff_webui.media.errors import MediaError, UnreadableMediaError
from animatediff_webui.media.store import FrameStore

from .models import InterpolationModels

if TYPE_CHECKING:
    import torch

FILE = "film_net_fp32.pt"
_ALIGNMENT = 64
"""The coarsest of its seven levels has one pixel for so many."""
_MAX_BYTES = 2**30
"""Unpacked; the published file has an eighth of that."""
# TorchScript cannot reach Python, but it can read and write files, also while it is loaded; and operators
# that others registered could do anything.
_UNSAFE = re.compile(r"\b(?:save|load|from_file)\s*\(|\bops\s*\.(?!\s*(?:aten|prim)\s*\.)|\btorch\.classes\b")


def check_film(models: InterpolationModels) -> None:
    """Raise MediaError where the file is missing, damaged, or more than a network."""
    with _checked(_find(models)):
        pass


def film_frames(store: FrameStore, factor: int, models: InterpolationModels) -> Iterator[Image.Image]:
    """The frames of `store` with factor - 1 behind each but the last. Raises MediaError."""
    network = _Film(_find(models), models.device)
    for index in range(len(store) - 1):
        frame, following = store.read(index), store.read(index + 1)
        yield frame
        yield from network.between(frame, following, factor)


class _Film:
    """The network, loaded; it runs on NVIDIA GPUs and on the CPU."""

    def __init__(self, path: Path, device: str) -> None:
        import torch

        self._device = torch.device(device if device.startswith("cuda") else "cpu")
        self._network = _load(path).to(self._device).eval()

    def between(self, first: Image.Image, last: Image.Image, steps: int) -> Iterator[Image.Image]:
        """The steps - 1 pictures between two of one size; where these are the same, so are those."""
        if first.tobytes() == last.tobytes():
            yield from (first.copy() for _ in range(steps - 1))
            return
        ends = (_to_tensor(each, self._device) for each in (first, last))
        yield from (_to_image(each, first.size) for each in self._halved(next(ends), next(ends), steps))

    def _halved(self, first: torch.Tensor, last: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
        """The middle first, which is what the network was trained for; then each half, without the ends."""
        if steps < 2:
            return
        middle = steps // 2
        frame = self._call(first, last, middle / steps)
        yield from self._halved(first, frame, middle)
        yield frame
        yield from self._halved(frame, last, steps - middle)

    def _call(self, first: torch.Tensor, last: torch.Tensor, moment: float) -> torch.Tensor:
        """The picture at `moment` between 0 and 1, `1 c h w` in 0 to 1 as those given."""
        import torch

        with torch.inference_mode():
            try:
                frame = self._network(first, last, first.new_full((1, 1), moment))
            except RuntimeError as error:
                raise MediaError(f"FILM failed: {str(error).strip().splitlines()[-1]}") from error
            return frame.clamp(0, 1)


def _find(models: InterpolationModels) -> Path:
    """The network's file. Raises MediaError."""
    path = models.folder / FILE if models.folder else None
    if path is None or not path.is_file():
        raise models.missing("FILM", f"the file {FILE}")
    return path


@contextmanager
def _checked(path: Path) -> Generator[zipfile.ZipFile, None, None]:
    """A TorchScript archive. Raises UnreadableMediaError unless it is whole, and nothing but a network."""
    try:
        with zipfile.ZipFile(path) as archive:
            files, names = archive.infolist(), {each.casefold() for each in archive.namelist()}
            codes = [each for each in archive.namelist() if "/code/" in each and each.endswith(".py")]
            is_large = sum(each.file_size for each in files) > _MAX_BYTES
            if not codes or is_large or len(names) < len(files) or archive.testzip() is not None:
                raise _damaged(path)
            for each in codes:
                _check_code(archive.read(each).decode("utf-8", "replace"), path.name)
            yield archive
    except (zipfile.BadZipFile, EOFError) as error:
        raise _damaged(path) from error


def _check_code(code: str, name: str) -> None:
    found = _UNSAFE.search(code)
    if found:
        raise UnreadableMediaError(
            f"{name} is not only a network, as it has {found[0]!r} in its code: take the published file."
        )


def _load(path: Path) -> torch.nn.Module:
    """The network in a file. What is loaded is a copy of what was checked: zip readers can differ."""
    import torch

    with _checked(path) as archive, tempfile.TemporaryFile() as checked:
        with zipfile.ZipFile(checked, "w") as copy:
            for name in archive.namelist():
                copy.writestr(name, archive.read(name))
        checked.seek(0)
        try:
            # The library does not type it.
            return torch.jit.load(checked, "cpu")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        except (RuntimeError, ValueError) as error:
            raise _damaged(path) from error


def _damaged(path: Path) -> UnreadableMediaError:
    return UnreadableMediaError(f"{path.name} is not a whole TorchScript file: download it again.")


def _to_tensor(image: Image.Image, device: torch.device) -> torch.Tensor:
    """`1 c h w` in 0 to 1, padded to what the network's levels need."""
    import numpy as np
    import torch

    pixels = torch.as_tensor(np.array(image), device=device).movedim(-1, 0)[None] / 255
    padding = (0, -image.width % _ALIGNMENT, 0, -image.height % _ALIGNMENT)
    return torch.nn.functional.pad(pixels, padding, mode="replicate")


def _to_image(frame: torch.Tensor, size: tuple[int, int]) -> Image.Image:
    width, height = size
    pixels = frame[0, :, :height, :width].mul(255).round().byte().movedim(0, -1)
    return Image.fromarray(pixels.cpu().numpy())
