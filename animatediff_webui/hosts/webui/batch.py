"""The img2img batch tab: a folder of pictures or a video, and maybe the same of masks, becomes one clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeAlias

from modules import images, img2img, processing, scripts, shared
from PIL import Image, ImageOps

from animatediff_webui.core.errors import UserError
from animatediff_webui.media.readers import read_frames
from animatediff_webui.media.readers.local import natural_order

from .api import AnimateDiffError
from .controlnet.argument import find_run
from .host_types import ImageRequest, Processed
from .masks import MASKS_ATTRIBUTE
from .patches import replaced, replaced_function


class Upload(Protocol):
    """A file that was sent to the page."""

    name: str


Source: TypeAlias = "str | Sequence[Upload]"
"""A folder, or the files that were sent instead."""


def take_over_batches() -> Callable[[], None]:
    """Let img2img's batch tab make one clip where the request asks for one; returns what undoes it.

    The host has no callback for it, so its function is wrapped for as long as the extension is loaded.
    """
    original = img2img.process_batch

    def process_batch(p: ImageRequest, *args: object, **kwargs: object) -> object:
        return _batch_function(p, original)(p, *args, **kwargs)

    return replaced_function(img2img, "process_batch", process_batch)


def _batch_function(p: ImageRequest, original: Callable[..., object]) -> Callable[..., object]:
    """Which function makes a folder of this request: ours if it asks for an animation."""
    argument = find_run(p)
    return animate_folder if argument is not None and argument.enable else original


def animate_folder(
    p: ImageRequest,
    source: Source,
    output_dir: str,
    inpaint_mask_dir: str,
    args: Sequence[object],
    to_scale: bool = False,
    scale_by: float = 1.0,
    *rest: object,
    **others: object,
) -> Processed:
    """The host's `process_batch` for a clip: same arguments, same kind of answer."""
    try:
        pictures, masks = read_folder(source, inpaint_mask_dir)
    except UserError as error:
        raise AnimateDiffError(str(error)) from error
    processing.fix_seed(p)
    fields: dict[str, object] = {"init_images": pictures, MASKS_ATTRIBUTE: masks, "batch_size": 1}
    if to_scale:
        width, height = pictures[0].size
        fields |= {"width": int(width * scale_by), "height": int(height * scale_by)}
    if output_dir:
        fields["outpath_samples"] = output_dir
    shared.state.job_count = p.n_iter
    with ExitStack() as stack:
        for name, value in fields.items():
            stack.enter_context(replaced(p, name, value))
        return scripts.scripts_img2img.run(p, *args) or processing.process_images(p)


def read_folder(source: Source, mask_folder: str) -> tuple[Sequence[Image.Image], Sequence[Image.Image]]:
    """The pictures and their masks: none, one for all, or as many as there are pictures. Raises UserError."""
    pictures = _read_all(source)
    masks = _read_all(mask_folder) if mask_folder else ()
    if not pictures:
        raise UserError(f"The folder {source} holds no pictures: choose another.")
    if len(masks) > 1:
        pictures = pictures[: len(masks)]
    return pictures, masks


def _read_all(source: Source) -> Sequence[Image.Image]:
    """The frames of a video, each read when it is asked for, or the pictures."""
    named = [source] if isinstance(source, str) else [upload.name for upload in source]
    if len(named) == 1 and Path(named[0]).is_file():
        frames = read_frames(named[0])
        if not frames.is_still:
            return frames
    return [read_picture(path) for path in listed_pictures(source)]


def listed_pictures(source: Source) -> list[Path]:
    """The pictures of a folder in natural order, the uploaded ones, or the one that is named."""
    if not isinstance(source, str):
        return [Path(upload.name) for upload in source]
    folder = Path(source)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(f"The folder {source} does not exist: choose another.")
    return natural_order(folder)


def read_picture(path: Path) -> Image.Image:
    """An upright picture. Raises UserError."""
    read: Callable[[str], Image.Image] = getattr(images, "read", Image.open)  # the host's knows more formats
    try:
        return ImageOps.exif_transpose(read(str(path)))
    except OSError as error:
        raise UserError(f"{path} is no picture ({error}): take it out of the folder.") from error
