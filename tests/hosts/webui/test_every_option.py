"""Every parameter and every setting that the documentation names is run."""

from __future__ import annotations

import pytest
from PIL import Image

from animatediff_webui.core.infotext import public
from animatediff_webui.core.parameters import FIELDS, parse_parameters
from motion_module import MotionModuleSpec
from tests.core.arguments import VALUES
from tests.hosts.webui.conftest import UNET, write_camera, write_module
from tests.infotexts import find_animation

NOT_FROM_NOTHING = ("video_source", "video_path", "mask_path", "camera_poses", "keyframes")
"""Parameters that need files, or are refused: they have tests of their own."""
FORMATS = ("GIF", "MP4", "WEBM", "WEBP", "AVIF", "APNG")
ELSEWHERE = ("s3_enable", "s3_bucket", "s3_endpoint", "s3_folder")
"""Settings that need a service: test_s3 has one."""
OTHERS = {"beta_schedule": "linear", "default_save_formats": ["MP4"], "mp4_tune": "film"}


def test_every_parameter_arrives_at_the_infotext(webui):
    values = {name: value for name, value in VALUES.items() if name not in NOT_FROM_NOTHING}
    assert values.keys() | set(NOT_FROM_NOTHING) == {field.name for field in FIELDS}
    picture = Image.new("RGB", (64, 64), "red")
    second = webui.folder / "models" / "AnimateDiff" / VALUES["modules"]
    second.parent.mkdir()
    write_module(second, MotionModuleSpec(widths=UNET.widths))
    write_camera(second.with_name(VALUES["camera_model"]), UNET.widths)
    p = webui.run(values, is_img2img=True, init_images=[picture], steps=3)
    found = find_animation(p.processed.infotexts[0])
    assert found is not None
    assert found.parameters == public(parse_parameters(values))


def other_value(setting):
    """A value that is allowed, and not the default."""
    if setting.name in OTHERS:
        return OTHERS[setting.name]
    if isinstance(setting.default, bool):
        return not setting.default
    if isinstance(setting.default, int):
        return setting.bounds[0] + 1
    return next((each for each in setting.choices if each != setting.default), setting.default)


def test_a_clip_is_made_with_every_setting_changed(webui):
    from animatediff_webui.hosts.webui.settings import PREFIX, SETTINGS

    for setting in SETTINGS:
        if setting.name in ELSEWHERE:
            continue
        name, before = f"{PREFIX}{setting.name}", dict(webui.options)
        if setting.name != "model_path":
            webui.options[name] = other_value(setting)
        files = webui.run({"format": formats_for(setting.name), "video_length": 4}, steps=1)
        assert files.processed.images, setting.name
        webui.options.clear()
        webui.options.update(before)


def formats_for(name: str) -> list[str] | None:
    """The format that a setting is of; None where it decides itself."""
    if name == "default_save_formats":
        return None
    found = [each for each in FORMATS if name.startswith(each.lower())]
    return found or ["GIF", "PNG"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_answered(webui, name):
    p = webui.run({"format": [name], "video_length": 4}, steps=1)
    assert len(p.processed.images) == 1
