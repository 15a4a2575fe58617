"""What is made of a picture before a ControlNet sees it, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from animatediff_webui.core.errors import UserError

from ..files import one_line

if TYPE_CHECKING:
    from PIL import Image

NO_PREPROCESSOR = "none"
CANNY_THRESHOLDS = (100, 200)
"""Of the gradient's size: below the first there is no edge, above the second there is; as in the WebUI."""

Preprocess: TypeAlias = "Callable[[Image.Image], Image.Image]"


def load_preprocessor(name: str) -> Preprocess:
    """The preprocessor of that name: RGB pictures in, RGB pictures of the same size out.

    Raises UserError where it needs a package or weights that are not there.
    """
    return PREPROCESSORS[name]()


def _load_nothing() -> Preprocess:
    return lambda image: image


def _load_canny() -> Preprocess:
    import cv2
    import numpy as np
    from PIL import Image

    def draw_edges(image: Image.Image) -> Image.Image:
        edges = cv2.Canny(np.array(image.convert("RGB")), *CANNY_THRESHOLDS)
        return Image.fromarray(edges).convert("RGB")

    return draw_edges


def _load_inversion() -> Preprocess:
    from PIL import ImageOps

    return lambda image: ImageOps.invert(image.convert("RGB"))


def _from_controlnet_aux(name: str) -> Callable[[], Preprocess]:
    def load() -> Preprocess:
        try:
            from controlnet_aux.processor import Processor
        except Exception as error:  # a torchvision for another PyTorch raises what it likes
            raise UserError(
                f"This preprocessor is controlnet_aux's {name}, which cannot be imported "
                f"({one_line(error)}): pip install controlnet-aux, or use canny or none."
            ) from error
        try:
            processor = Processor(name)
        except Exception as error:  # its networks' files come from elsewhere, by several libraries
            raise UserError(
                f"controlnet_aux cannot load {name} ({one_line(error).rstrip('.')}): let it download the "
                "network's weights once, which it takes from Hugging Face's hub, or use canny or none."
            ) from error
        return lambda image: processor(image.convert("RGB"), to_pil=True).convert("RGB").resize(image.size)

    return load


PREPROCESSORS: Mapping[str, Callable[[], Preprocess]] = {
    NO_PREPROCESSOR: _load_nothing,
    "canny": _load_canny,
    "invert": _load_inversion,
    "lineart": _from_controlnet_aux("lineart_realistic"),
    "lineart_anime": _from_controlnet_aux("lineart_anime"),
    "softedge": _from_controlnet_aux("softedge_hed"),
    "scribble": _from_controlnet_aux("scribble_hed"),
    "depth": _from_controlnet_aux("depth_midas"),
    "normal": _from_controlnet_aux("normal_bae"),
    "mlsd": _from_controlnet_aux("mlsd"),
    "openpose": _from_controlnet_aux("openpose_full"),
}
"""By the command line's names; those after the third are controlnet_aux's."""
