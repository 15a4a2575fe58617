"""The ControlNet that Forge and its relatives bring along, as far as a clip goes through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import avg_pool2d


class InputMode(Enum):
    SIMPLE = "simple"
    BATCH = "batch"
    MERGE = "merge"


@dataclass
class Unit:
    """reForge's and Classic's: what is drawn on a picture is a part of it."""

    enabled: bool = True
    input_mode: InputMode = InputMode.SIMPLE
    module: str = "None"
    image: object = None
    mask_image: object = None
    use_preview_as_input: bool = False
    generated_image: object = None
    save_detected_map: bool = True
    batch_image_dir: str = ""
    batch_mask_dir: str = ""

    def pictures(self):
        mask = self.mask_image["image"] if self.mask_image is not None else None
        assert self.image["mask"].shape == self.image["image"].shape
        return self.image["image"], mask


@dataclass
class ForgeUnit(Unit):
    """Forge's: what is drawn on it is a picture of its own, and black ones need it."""

    image_fg: object = None
    mask_image_fg: object = None

    def pictures(self):
        assert self.image_fg[..., 3].shape == self.image.shape[:2]
        return self.image, self.mask_image


class Control:
    """A network; its signals are the levels of its picture. `seen` gets them, with the call's rows."""

    def __init__(self, hint, mask, seen):
        self.cond_hint_original, self.advanced_mask_weighting, self.seen = hint, mask, seen
        self.cond_hint = self.previous_controlnet = None
        self.transformer_options = {}

    def get_control(self, x_noisy, t, cond, batched_number):
        assert len(x_noisy) == len(t) == len(cond["c_crossattn"])
        assert len(self.transformer_options["cond_mark"]) == len(x_noisy)
        before = self.previous_controlnet
        signals = before.get_control(x_noisy, t, cond, batched_number)["middle"] if before is not None else []
        if self.cond_hint is None:
            self.cond_hint = avg_pool2d(self.cond_hint_original, 8)
        if len(self.cond_hint) != len(x_noisy):
            rows = self.cond_hint[: len(x_noisy) // batched_number]
            self.cond_hint = torch.cat([rows] * batched_number)
        levels = self.cond_hint.mean((1, 2, 3)).view(-1, 1, 1, 1)
        if self.advanced_mask_weighting is not None:
            levels = (
                levels
                * self.advanced_mask_weighting.mean((1, 2, 3)).repeat(batched_number)[:, None, None, None]
            )
        self.seen.append([round(level * 255) for level in levels.flatten().tolist()])
        return {"middle": [levels, *signals]}


@dataclass
class IntegratedScript:
    """Prepares units before sampling, and links their networks to the UNet's patcher each time it begins."""

    args_from: int
    unit_class: type[Unit]
    seen: list = field(default_factory=list)
    makes_embeddings: bool = False
    keeps_recordings: bool = False

    @property
    def args_to(self):
        return self.args_from + 2

    def get_enabled_units(self, units):
        units = [self.unit_class(**unit) if isinstance(unit, dict) else unit for unit in units]
        return [unit for unit in units if unit.enabled]

    def get_input_data(self, p, unit, preprocessor, h, w):
        assert unit.input_mode is InputMode.SIMPLE
        picture, mask = unit.pictures()
        return [[picture, mask if mask is not None and (mask > 5).any() else None]], "Crop and Resize"

    def process(self, p, *units):
        self.current_params = {}
        for number, unit in enumerate(self.get_enabled_units(units)):
            inputs, _ = self.get_input_data(p, unit, None, p.height, p.width)
            frames, masks = [], []
            for picture, mask in inputs:
                frames.append(torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1))
                if mask is not None:
                    masks.append(torch.from_numpy(mask.astype(np.float32) / 255).permute(2, 0, 1)[:1])
            order = [index % len(frames) for index in range(p.batch_size)]
            params = SimpleNamespace(model=object(), preprocessor=SimpleNamespace(name=unit.module))
            params.control_cond = None if self.makes_embeddings else torch.stack(frames)[order]
            params.control_mask = torch.stack(masks)[order] if masks else None
            if self.keeps_recordings:
                params.preprocessor.is_recording_style = False
            self.current_params[number] = params

    def process_before_every_sampling(self, p, *units):
        for number, unit in enumerate(self.get_enabled_units(units)):
            params = self.current_params[number]
            if "inpaint" in unit.module:
                assert params.control_mask is not None
            if unit.module == "of another base model":
                raise ValueError("sizes differ")
            control = Control(params.control_cond, params.control_mask, self.seen)
            unet = p.sd_model.forge_objects.unet.clone()
            control.previous_controlnet, unet.controlnet_linked_list = unet.controlnet_linked_list, control
            p.sd_model.forge_objects.unet = unet

    def postprocess(self, p, processed, *units):
        self.current_params = {}
