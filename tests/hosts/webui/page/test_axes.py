import pytest
from PIL import Image

from animatediff_webui.core.parameters import FIELDS, ParameterError
from animatediff_webui.hosts.webui.page.axes import build_axes

AXES = {axis.field.name: axis for axis in build_axes()}


def test_axes_are_there_for_every_parameter():
    assert set(AXES) == {field.name for field in FIELDS} - {"enable"}


def test_axis_types_let_the_host_read_ranges():
    assert AXES["overlap"].type is int
    assert AXES["fps"].type is float
    assert AXES["closed_loop"].type is str


def test_axis_values_are_read_and_checked():
    assert AXES["format"].read("GIF, MP4") == ("GIF", "MP4")
    assert AXES["freenoise"].read("True") is True
    assert AXES["video_length"].read(32) == 32
    with pytest.raises(ParameterError, match="closed_loop"):
        AXES["closed_loop"].read("sometimes")


def test_axes_of_small_languages_take_what_may_be_typed():
    for name in ("camera_motion", "noise_weight", "context_schedule", "motion_scale"):
        assert (AXES[name].type, AXES[name].choices) == (str, ())
    moves = [str(AXES["camera_motion"].read(text)) for text in ("pan left", "Zoom In 0.5+roll clockwise", "")]
    assert moves == ["pan left", "zoom in 0.5 + roll clockwise", ""]
    with pytest.raises(ParameterError, match="camera_motion is 'left', but must be one of still, pan left"):
        AXES["camera_motion"].read("left")


def test_last_frame_axis_reads_picture_files(tmp_path):
    path = tmp_path / "last.png"
    Image.new("RGB", (3, 2)).save(path)
    picture = AXES["last_frame"].read(str(path))
    assert isinstance(picture, Image.Image)
    assert picture.size == (3, 2)
    with pytest.raises(ParameterError, match="last_frame"):
        AXES["last_frame"].read(str(tmp_path / "none.png"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ParameterError, match=r"last_frame holds .* picture"):
        AXES["last_frame"].read(str(path))


def test_axes_of_the_first_and_last_frame_are_img2imgs_alone():
    only = {name for name, axis in AXES.items() if axis.is_img2img_only}
    powers = {"latent_power", "latent_scale", "latent_power_last", "latent_scale_last"}
    assert only == {*powers, "last_frame"}
