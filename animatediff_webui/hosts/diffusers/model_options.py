"""Which models a clip is made with, and where they run: the options, and the table that describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, cast

from animatediff_webui.core.errors import ParameterError, UserError, shown, shown_text
from animatediff_webui.core.fields import Field, Kind, Value
from animatediff_webui.media.interpolation.models import InterpolationModels

from .keywords import address_start, as_list, as_path, nearest, plain_number

if TYPE_CHECKING:
    import torch

GROUP = "Model"
NO_MODULE = "none"
NUM_FREEU_SCALES = 4
AUTOMATIC = "auto"
DTYPES = ("float32", "float16", "bfloat16")
OFFLOADS = ("none", "model", "sequential")

FreeU: TypeAlias = tuple[float, float, float, float]


class ModelKeywords(TypedDict, total=False):
    """The model options as keywords; None is the default."""

    checkpoint: Path | str | None
    vae: Path | str | None
    motion_module: Path | str | None
    device: str | None
    dtype: str | None
    offload: str | None
    vae_slicing: bool | None
    vae_tiling: bool | None
    freeu: Sequence[float] | None
    interp_models: Path | str | None
    title: str | None


@dataclass(frozen=True)
class ModelOptions:
    """`motion_module`: a file, "none" for unrelated pictures, or None for the first one found. `freeu`: the
    scales s1, s2, b1, b2 (Si et al., arXiv 2309.11497). `title`: what infotexts call the checkpoint, if
    not by its file's name. Raises ParameterError for what is not allowed; files are looked for later."""

    checkpoint: Path | str
    vae: Path | str | None = None
    motion_module: Path | str | None = None
    device: str = "auto"
    dtype: str = "auto"
    offload: str = "none"
    vae_slicing: bool = False
    vae_tiling: bool = False
    freeu: FreeU | None = None
    interp_models: Path | str | None = None
    title: str = ""

    def __post_init__(self) -> None:
        if as_path(self.checkpoint) is None:
            raise ParameterError(f"checkpoint is {shown(self.checkpoint)}, but must be a path.")
        for row in MODEL_FIELDS:  # frozen, and None is the default
            object.__setattr__(self, row.name, _read(row, getattr(self, row.name)))
        object.__setattr__(self, "freeu", _read_freeu(self.freeu))
        if not isinstance(self.title, str):  # pyright: ignore[reportUnnecessaryIsInstance]: as callers have it
            raise ParameterError(f"title is {shown(self.title)}, but must be a text.")

    @property
    def name(self) -> str:
        """What the checkpoint is called."""
        return self.title or Path(self.checkpoint).stem

    @property
    def interpolation(self) -> InterpolationModels:
        """Where networks that make frames in between are, and what they run on."""
        folder = None if self.interp_models is None else Path(self.interp_models)
        return InterpolationModels(folder, device=str(self.torch_device))

    @property
    def torch_device(self) -> torch.device:
        """The device, chosen if "auto". Raises UserError where there is none of that kind."""
        import torch

        if self.device == AUTOMATIC:
            return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _count_devices(kind)))
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise ParameterError(f"device is {self.device!r}, but must be auto, cuda, mps or cpu.") from None
        count = _count_devices(device.type)
        if count <= (device.index or 0):
            found = f"{count} of that kind, counted from 0" if count else f"no {device.type} device here"
            raise UserError(f"device is {self.device!r}, but PyTorch sees {found}: choose cpu or auto.")
        return device

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format, chosen if "auto": half precision where a GPU is."""
        import torch

        if self.dtype == AUTOMATIC:
            return torch.float16 if self.torch_device.type == "cuda" else torch.float32
        return cast("torch.dtype", getattr(torch, self.dtype))

    def check_device(self) -> None:
        """Raise UserError where there is no such device, or what is asked of it cannot be."""
        if self.torch_device.type == "cpu" and self.offload != "none":
            raise UserError(
                f"offload is {self.offload!r}, which moves models off a GPU, but this run is on the CPU: "
                "leave it out."
            )


def read_model_options(options: object, keywords: Mapping[str, object]) -> ModelOptions:
    """`options` (None: none yet) with `keywords` in their place. ParameterError for what is none."""
    names = [field.name for field in fields(ModelOptions)]
    for name in keywords:
        if name not in names:
            raise ParameterError(
                f"{shown_text(name)} is no model option{nearest(name, names)}: there are {', '.join(names)}."
            )
    values = cast("dict[str, Any]", keywords)  # Any: ModelOptions checks each of them
    if options is None:
        return ModelOptions(**values)
    if not isinstance(options, ModelOptions):
        raise ParameterError(
            f"options is {shown(options)}, but must be ModelOptions: name a file by checkpoint=."
        )
    return replace(options, **values)


def _read(row: Field, value: object) -> object:
    """A row's value, checked; a path stays as it was given."""
    if row.kind is not Kind.PATH or value is None:
        return row.read(value)
    if as_path(value) is None:
        raise row.refuse(value)
    text = str(value)
    row.read(text)
    if not text.strip():
        raise ParameterError(f"{row.name} is empty, but must be a path: name a file, or leave it out.")
    if address := address_start(text):
        raise ParameterError(
            f"{row.name} begins with {address!r}, as addresses do, but must be a file on this computer: "
            "download it first, and name that file."
        )
    return value


def _read_freeu(value: object) -> FreeU | None:
    if value is None:
        return None
    scales = [plain_number(each) for each in as_list(value) or ()]
    numbers = [
        float(scale) for scale in scales if isinstance(scale, (int, float)) and abs(scale) < _TOO_LARGE
    ]
    if len(numbers) != len(scales) or len(numbers) != NUM_FREEU_SCALES:
        raise ParameterError(
            f"freeu is {shown(value)}, but must be four numbers, s1, s2, b1 and b2: (0.9, 0.2, 1.5, 1.6) "
            "suits SD1.5."
        )
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _count_devices(kind: str) -> int:
    import torch

    counts = {
        "cpu": lambda: 1,
        "cuda": torch.cuda.device_count,
        "mps": lambda: int(torch.backends.mps.is_available()),
    }
    return counts[kind]() if kind in counts else 0


_TOO_LARGE = 1000
_DEFAULTS = {field.name: field.default for field in fields(ModelOptions)}


def _row(
    name: str, label: str, kind: Kind, help: str, choices: tuple[str, ...] = (), aliases: tuple[str, ...] = ()
) -> Field:
    """A field whose default is what the dataclass says; a checkpoint has none."""
    default = None if _DEFAULTS[name] is MISSING else cast("Value", _DEFAULTS[name])
    return Field(name, name, label, kind, GROUP, help, default=default, choices=choices, aliases=aliases)


MODEL_FIELDS: tuple[Field, ...] = (
    _row(
        "checkpoint", "Checkpoint", Kind.PATH,
        "A .safetensors file or diffusers folder, SD1.5 or SDXL. Empty: the embedded model.",
    ),
    _row(
        "motion_module", "Motion module", Kind.PATH,
        "The motion module's file, or none for pictures that do not move. Empty: the embedded model's; for "
        "other checkpoints, the first one in model/.",
        aliases=("model",),
    ),
    _row("vae", "VAE", Kind.PATH, "Another VAE: a .safetensors file or diffusers folder."),
    _row("device", "Device", Kind.TEXT, "auto, cuda, cuda:1, mps or cpu."),
    _row("dtype", "Number format", Kind.CHOICE, "Of the models.", (AUTOMATIC, *DTYPES)),
    _row(
        "offload", "Offload", Kind.CHOICE,
        "Keep resting models off the GPU; sequential takes least memory and is slowest.", OFFLOADS,
    ),
    _row("vae_tiling", "VAE tiling", Kind.BOOL, "Decode large frames in tiles, with less memory."),
    _row(
        "interp_models", "Interpolation models", Kind.PATH,
        "The folder with film_net_fp32.pt for FILM, and one such as rife-v4.6 for RIFE.",
    ),
    _row("vae_slicing", "VAE slicing", Kind.BOOL, "For completeness: frames are decoded one by one anyway."),
)  # fmt: skip
