import pytest
from PIL import Image

from animatediff_webui.hosts.webui.page.animated_grid import Cell, write_grid
from animatediff_webui.media import read_frames, write_animation

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def video(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, WHITE)]
    (written,) = write_animation(frames, tmp_path / "clip", ["APNG"], fps=5)
    return written.path


def test_grid_moves_where_a_cell_has_a_video_and_stays_where_it_has_none(tmp_path, video):
    still = Image.new("RGB", (16, 16), BLUE)
    path = write_grid([Cell(still, video), Cell(still)], 2, tmp_path, fps=8)
    source = read_frames(path)
    frames = list(source)
    assert (len(frames), source.size, float(source.fps)) == (3, (32, 16), 5)
    corners = [(frame.getpixel((4, 8)), frame.getpixel((28, 8))) for frame in frames]
    for (left, right), expected in zip(corners, (RED, GREEN, WHITE), strict=True):
        assert left == pytest.approx(expected, abs=12)
        assert right == pytest.approx(BLUE, abs=12)
