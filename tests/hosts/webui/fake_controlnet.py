"""sd-webui-controlnet, as far as a clip goes through it: units, what is prepared of them, the hooked UNet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d


class InputMode(Enum):
    SIMPLE = "simple"
    BATCH = "batch"


@dataclass
class ControlNetUnit:
    enabled: bool = True
    input_mode: InputMode = InputMode.SIMPLE
    image: object = None
    batch_images: object = None
    ipadapter_input: object = None
    animatediff_batch: bool = False
    batch_modifiers: list = field(default_factory=list)
    batch_image_files: list = field(default_factory=list)
    batch_keyframe_idx: object = None
    save_detected_map: bool = True
    module: str = "none"
    model: str = "control_canny"

    @property
    def is_ipadapter(self):
        return self.module == "ip-adapter"

    @property
    def is_inpaint(self):
        return "inpaint" in self.module

    def copy(self, *, update):
        return replace(self, **update)


class ImageEmbed(NamedTuple):
    cond_emb: torch.Tensor
    uncond_emb: torch.Tensor


class ControlParams:
    """As the extension's, setting the hint drops what was derived of it."""

    def __init__(self, control_model, hint_cond):
        self.control_model, self.hr_hint_cond = control_model, None
        self._hint_cond, self.used_hint_cond = hint_cond, None

    @property
    def hint_cond(self):
        return self._hint_cond

    @hint_cond.setter
    def hint_cond(self, hint):
        self._hint_cond, self.used_hint_cond = hint, None


def read(path, size):
    image = Image.open(path).convert("RGB").resize(size)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


class ControlNetScript:
    """Prepares the units of a request, and adds what they see to the UNet's rows."""

    def __init__(self, args_from):
        self.args_from, self.args_to = args_from, args_from + 2
        self.enabled_units, self.latest_network, self.seen = [], None, []
        self.fails = ""
        self.network = SimpleNamespace()

    def title(self):
        return "ControlNet"

    def process(self, p, *units):
        self.enabled_units = [unit for unit in units if isinstance(unit, ControlNetUnit) and unit.enabled]
        if not self.enabled_units:
            return
        if self.fails:
            raise RuntimeError(self.fails)
        self.params = [self.prepared(p, unit) for unit in self.enabled_units]
        self.whole = [
            (each.hint_cond, getattr(each.control_model, "image_emb", None)) for each in self.params
        ]
        self.latest_network = SimpleNamespace(control_params=self.params)
        self.unet = p.sd_model.model.diffusion_model
        self.unet.forward = self.forward

    def postprocess(self, p, processed, *units):
        if self.latest_network is not None:
            del self.unet.forward
            self.latest_network = None

    def prepared(self, p, unit):
        size = p.width, p.height
        if unit.is_ipadapter:
            outputs = [read(each["image"], size).mean((2, 3)) for each in unit.image]
            encoder = SimpleNamespace(get_image_emb=lambda output: ImageEmbed(output[None], output[None] * 0))
            adapter = SimpleNamespace(ipadapter=encoder, cache={})
            mean = torch.stack(outputs).mean(0)
            adapter.image_emb = adapter.ipadapter.get_image_emb(mean)
            return ControlParams(adapter, outputs)
        if unit.animatediff_batch:
            folder, *lines = unit.batch_images.split("\n")
            files = sorted(map(str, Path(folder).iterdir()))
            for modifier in unit.batch_modifiers:
                files = modifier(files, p)
            hint = torch.cat([read(file, size) for file in files])
            for line in lines:
                if line.startswith("keyframe:"):
                    frames = [int(frame) for frame in line.removeprefix("keyframe:").split(",")]
                    whole = hint.new_zeros((p.batch_size, *hint.shape[1:]))
                    whole[frames] = hint
                    hint = whole
            hint = torch.cat([hint, hint])
        else:
            hint = read(unit.image, size)
        return ControlParams(self.network, hint)

    def forward(self, x, *args, **kwargs):
        seen = []
        for params in self.params:
            if hasattr(params.control_model, "image_emb"):
                rows = params.control_model.image_emb.cond_emb[:, 0, :, None, None]
                assert len(rows) in (1, len(x))
                params.control_model.cache["key"] = rows
            else:
                rows = params.used_hint_cond = avg_pool2d(params.hint_cond, 8)
                assert len(rows) in (1, len(x))
            x = x + torch.cat([rows, rows[:, :1]], 1)
            seen.append(rows)
        self.seen.append(seen)
        return type(self.unet).forward(self.unet, x, *args, **kwargs)
