"""Requests to try things with: pictures, and any valid arguments of an API client."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from animatediff_webui.core.fields import Field, Kind
from animatediff_webui.core.parameters import FIELDS


def png_bytes(size: tuple[int, int] = (3, 2), color: str = "red") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, color).save(buffer, format="PNG")
    return buffer.getvalue()


def base64_png(size: tuple[int, int] = (3, 2)) -> str:
    return base64.b64encode(png_bytes(size)).decode()


VALUES: dict[str, Any] = {
    "enable": True, "model": "mm.safetensors", "format": ["GIF", "TXT", "PNG"], "video_length": 6,
    "fps": 12.5, "loop_number": 3, "closed_loop": "R+P", "batch_size": 4, "stride": 2, "overlap": 1,
    "interp": "Motion-compensated", "interp_x": 2, "video_source": "clips/a.mp4", "video_path": "clips",
    "mask_path": "masks", "reverse": [0, 1],
    "latent_power": 1.5, "latent_scale": 8.0, "last_frame": base64_png((64, 64)), "latent_power_last": 0.5,
    "latent_scale_last": 4.0, "freeinit_enable": True, "freeinit_filter": "gaussian", "freeinit_ds": 0.5,
    "freeinit_dt": 0.125, "freeinit_iters": 2, "request_id": "job-7", "context_scheduler": "looped uniform",
    "context_fuse": "flat", "prompt_blend": "linear", "prompt_easing": "hold", "freenoise": False,
    "freeinit_fast": True, "video_start": "1.5s", "video_end": "20", "video_stride": 2, "audio": False,
    "motion_scale": "0: 1, 4: 0.5", "motion_effect": 0.75, "effect_schedule": "0: 1, 50%: 0.5",
    "motion_blocks": "down 0: 0.5", "modules": "second.safetensors", "view_length": 3, "view_overlap": 1,
    "noise_type": "constant", "noise_weight": 0.5, "noise_offset": 3, "cfg_schedule": "0: 7, 50%: 4",
    "motion_picture": base64_png((64, 64)), "affinity": "1, 0.9, 0.8",
    "reference": 0.5, "reference_end": 0.75, "window_batch": 2, "camera_model": "CameraCtrl.ckpt",
    "camera_motion": "pan left 0.5 + zoom in", "camera_poses": "poses.txt",
    "context_schedule": "0: 4, 50%: 3",
    "keyframes": [{"frame": 0, "image": base64_png()}, {"frame": 5, "image": "last.png"}],
}  # fmt: skip
"""A value of each parameter that is not its default, all of which go together."""


def api_value(field: Field) -> st.SearchStrategy[Any]:
    """Valid values of a field, as an API client sends them."""
    low = 1e-6 if field.minimum is None else field.minimum
    strategies: dict[Kind, st.SearchStrategy[Any]] = {
        Kind.BOOL: st.booleans(),
        Kind.INTEGER: st.integers(int(low), int(field.maximum or 50)),
        Kind.NUMBER: st.floats(low, field.maximum or 1e6),
        Kind.TEXT: st.from_regex(field.pattern or "a", fullmatch=True),
        Kind.MODEL: st.text(st.sampled_from("ab-_ .,;'\"日é😀{}[]()<>&%#="), min_size=1).filter(
            lambda name: name.strip() not in ("", ".", "..")
        ),
        Kind.PATH: st.sampled_from(["clips/a.mp4", "C:\\clips"]),
        Kind.MOMENT: st.integers(0, 10**6) | st.sampled_from(["0s", "1.5s"]),
        Kind.IMAGE: st.just(base64_png()),
        Kind.CHOICE: st.sampled_from(field.choices or ("x",)),
        Kind.MULTIVAL: st.one_of(
            st.floats(0, field.maximum or 100),
            st.sampled_from(["0: 1, 100%: 0.4 hold", "left.png [0.2, 0.9] * 0.5", ""]),
            st.fixed_dictionaries({"mask": st.sampled_from(["masks", "a/b.png"])}),
            st.just({"mask": f"data:image/png;base64,{base64_png()}", "low": 0.1}),
            st.fixed_dictionaries({"schedule": st.just("0: .5, 0.5s: 1 ease in-out")}),
        ),
        Kind.SCHEDULE: st.sampled_from(["", "0: 7, 50%: 4", "0: 1 hold, 8: 2.5"]),
        Kind.BLOCKS: st.sampled_from(["", "down 0: 0.5, mid: 0, up 3.1: 2", {"down 2": 0.25, "mid": 1}]),
        Kind.MODULES: st.sampled_from(
            [
                "a.ckpt; b/c.safetensors",
                [{"model": "a.ckpt", "effect": "0: 1, 8: 0", "blocks": {"mid": 0}, "end": 0.5}],
                {"model": "a", "loras": ["pan_left:-0.75", "zoom"], "start": 0.25, "effect": 0.5},
                "",
            ]
        ),
        Kind.AFFINITY: st.one_of(
            st.sampled_from(["", "small", "Loop Large", "2", "1, .9,0.85", 5]),
            st.lists(st.floats(0, 1), min_size=1, max_size=20),
        ),
        Kind.FURTHER_MODEL: st.sampled_from(["a.ckpt", "b/c.safetensors"]),
        Kind.CAMERA: st.sampled_from(["", "still", "Pan Left 0.5 + zoom in", "orbit right .25"]),
        Kind.KEYFRAMES: st.one_of(
            st.sampled_from(["", "0=first.png; 15=last; one.png", "3 = C:\\a.png", []]),
            st.lists(
                st.fixed_dictionaries(
                    {"frame": st.integers(0, 99), "image": st.sampled_from(["a.png", base64_png((64, 64))])}
                ),
                unique_by=lambda each: each["frame"],
            ),
        ),
        Kind.CHOICES: st.lists(st.sampled_from(field.choices or ("x",)), unique=True),
    }
    return strategies[field.kind]


@st.composite
def api_arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid request."""
    names = draw(st.lists(st.sampled_from(FIELDS), unique_by=lambda field: field.name))
    values = {field.name: draw(api_value(field)) for field in names}
    if "format" in values:
        values["format"] = [*values["format"], "GIF"]
    if "batch_size" in values and values.get("overlap", -1) >= values["batch_size"]:
        values["overlap"] = values["batch_size"] - 1
    return values
