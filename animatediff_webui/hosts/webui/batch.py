"""The img2img batch tab: a folder of pictures, and maybe one of masks, becomes one clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modules import images, img2img, processing, scripts, shared
from PIL import Image, ImageOps

from animatediff_webui.core.errors import UserError

from .api import AnimateDiffError
from .controlnet import find_run
from .motion_modules import natural_key
from .start import MASKS_ATTRIBUTE

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

# `p` is the host's request, whose class cannot be imported where types are checked: Any.


def take_over_batches() -> Callable[[], None]:
    """Let img2img's batch tab make one clip where the request asks for one; returns what undoes it.

    The host has no callback for it, so its function is wrapped for as long as the extension is loaded.
    """
    original = img2img.process_batch

    def process_batch(p: Any, *args: Any, **kwargs: Any) -> Any:
        argument = find_run(p)
        is_ours = argument is not None and argument.enable
        return (animate_folder if is_ours else original)(p, *args, **kwargs)

    def undo() -> None:
        if img2img.process_batch is process_batch:
            img2img.process_batch = original

    img2img.process_batch = process_batch
    return undo


def animate_folder(
    p: Any,
    source: Any,
    output_dir: str,
    inpaint_mask_dir: str,
    args: Sequence[Any],
    *rest: Any,
    **kwargs: Any,
) -> Any:
    """The host's `process_batch` for a clip: same arguments, same kind of answer."""
    try:
        pictures = [read_picture(path) for path in listed_pictures(source)]
        masks = [read_picture(path) for path in listed_pictures(inpaint_mask_dir)] if inpaint_mask_dir else []
        if not pictures:
            raise UserError(f"The folder {source} holds no pictures: choose another.")
        if len(masks) > 1 and len(masks) < len(pictures):
            pictures = pictures[: len(masks)]
    except UserError as error:
        raise AnimateDiffError(str(error)) from error
    processing.fix_seed(p)
    if kwargs.get("to_scale"):
        p.width, p.height = (int(side * kwargs.get("scale_by", 1.0)) for side in pictures[0].size)
    if output_dir:
        p.outpath_samples = output_dir
    p.init_images, p.batch_size = pictures, 1
    setattr(p, MASKS_ATTRIBUTE, masks)
    shared.state.job_count = p.n_iter
    processed = scripts.scripts_img2img.run(p, *args)
    return processing.process_images(p) if processed is None else processed


def listed_pictures(source: Any) -> list[Path]:
    """The pictures of a folder in natural order, or the uploaded ones."""
    if not isinstance(source, str):
        return [Path(upload.name) for upload in source]
    folder = Path(source)
    if not folder.is_dir():
        raise UserError(f"The folder {source} does not exist: choose another.")
    files = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return sorted(files, key=lambda path: natural_key(path.name))


def read_picture(path: Path) -> Image.Image:
    """An upright picture. Raises UserError."""
    try:
        return ImageOps.exif_transpose(
            images.read(str(path)) if hasattr(images, "read") else Image.open(path)
        )
    except OSError as error:
        raise UserError(f"{path} is no picture ({error}): take it out of the folder.") from error
