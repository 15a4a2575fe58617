"""Every writer's file, read again: frames, times, loops, sizes, infotext."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from animatediff_webui.media import WriterOptions, read_frames, read_infotext, write_animation
from animatediff_webui.media.ffmpeg import local_url, streamed_ffmpeg
from animatediff_webui.media.pillow_avif import avif_available
from animatediff_webui.media.readers.durations import read_durations
from tests.media.clips import ALL, LOSSLESS, clip, frame, psnr

AVAILABLE = tuple(name for name in ALL if name != "AVIF" or avif_available())
MOVING = tuple(name for name in AVAILABLE if name != "TXT")
TELEVISION = Fraction(30000, 1001)
INFOTEXT = (
    'a (red:1.3) circle, "quoted"; key=value #1 \\o/\n\n'
    "Negative prompt: gr\u00fcn, \u6f22\u5b57 \U0001f600\r\n"
    "Steps: 20, Size: 32x24\n"
)


def write(folder: Path, *formats: str, frames=None, **rest) -> dict[str, Path]:
    written = write_animation(frames or clip(), folder / "clip.v1", formats, **{"fps": 8, **rest})
    assert [each.error for each in written] == [None] * len(formats)
    return {each.format: each.path for each in written}


@pytest.fixture(scope="module")
def television(tmp_path_factory) -> dict[str, Path]:
    """All formats at 30000/1001 frames a second."""
    return write(tmp_path_factory.mktemp("clip"), *AVAILABLE, fps=TELEVISION, infotext=INFOTEXT)


@pytest.mark.parametrize("name", MOVING)
def test_every_format_gives_back_its_frames(television, name):
    source = read_frames(television[name])
    frames = list(source)
    assert len(frames) == len(source) == 6
    assert source.size == frames[0].size == (32, 24)
    quality = min(psnr(*pair) for pair in zip(clip(), frames, strict=True))
    assert quality == float("inf") if name in LOSSLESS else quality > 30


@pytest.mark.parametrize("name", [name for name in MOVING if name not in ("PNG", "GIF", "WEBP", "AVIF")])
def test_formats_with_exact_times_keep_television_rates(television, name):
    assert read_frames(television[name]).fps == TELEVISION


def test_a_webp_of_a_second_keeps_television_rates(tmp_path):
    path = write(tmp_path, "WEBP", frames=clip(30, (8, 8)), fps=TELEVISION)["WEBP"]
    assert read_frames(path).fps == TELEVISION


@pytest.mark.parametrize("name", [name for name in MOVING if name != "PNG"])
def test_every_format_at_the_default_rate_lasts_as_long_as_it_should(tmp_path, name):
    source = read_frames(write(tmp_path, name)[name])
    assert source.fps == 8
    assert (len(source), source.is_resampled) == (6, False)


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_format_gives_back_its_infotext(television, name):
    assert read_infotext(television[name]) == INFOTEXT


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_format_holds_a_very_long_infotext(tmp_path, name):
    infotext = "\u6f22\u5b57, kr\u00e4ftig;\n" * 20_000
    assert read_infotext(write(tmp_path, name, frames=clip(2), infotext=infotext)[name]) == infotext


@pytest.mark.parametrize("name", ["GIF", "APNG"])
def test_another_decoder_sees_the_same_frames(television, name):
    """ffmpeg's: a file that only Pillow understood would pass every other test."""
    output = ["-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"]
    chunks = streamed_ffmpeg(["-i", local_url(television[name]), *output], 32 * 24 * 3)
    assert list(chunks) == [image.tobytes() for image in read_frames(television[name])]


def test_latin_infotext_in_png_is_a_plain_text_chunk(tmp_path):
    path = write(tmp_path, "APNG", infotext="gr\u00fcn")["APNG"]
    assert b"tEXtparameters\0gr\xfcn" in path.read_bytes()


@pytest.mark.parametrize("name", AVAILABLE)
def test_infotext_no_field_can_hold_is_written_without_those_characters(tmp_path, name):
    path = write(tmp_path, name, frames=clip(2), infotext="a\0b\ud800c")[name]
    assert read_infotext(path) == "a\ufffdb?c"


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name != "TXT"])
def test_a_file_without_infotext_has_none(tmp_path, name):
    assert read_infotext(write(tmp_path, name, frames=clip(2))[name]) is None


@pytest.mark.parametrize("size", [(33, 25), (32, 25), (1, 1)])
@pytest.mark.parametrize("name", MOVING)
def test_odd_sizes_are_written_and_video_repeats_the_edge(tmp_path, name, size):
    path = write(tmp_path, name, frames=clip(2, size))[name]
    first = next(iter(read_frames(path)))
    width, height = size
    if name not in ("MP4", "WEBM", "MOV"):
        assert first.size == size
        return
    assert first.size == (width + width % 2, height + height % 2)
    edge = first.crop((width - 1, 0, width, height))
    assert psnr(edge, first.crop((first.width - 1, 0, first.width, height))) > 30


@pytest.mark.parametrize("name", MOVING)
def test_one_frame_is_a_clip_too(tmp_path, name):
    path = write(tmp_path, name, frames=clip(1), infotext="one")[name]
    assert len(list(read_frames(path))) == 1
    assert read_infotext(path) == "one"


@pytest.mark.parametrize(
    ("name", "loop_count", "stored"),
    [
        ("GIF", 0, 0),
        ("GIF", 1, None),
        ("GIF", 3, 2),
        ("WEBP", 0, 0),
        ("WEBP", 1, 1),
        ("WEBP", 3, 3),
        ("APNG", 0, 0),
        ("APNG", 1, 1),
        ("APNG", 3, 3),
    ],
)
def test_loop_count_is_stored_as_each_format_counts(tmp_path, name, loop_count, stored):
    """GIF counts how often it is repeated, the others how often it plays."""
    with Image.open(write(tmp_path, name, loop_count=loop_count)[name]) as image:
        assert image.info.get("loop") == stored


def test_gif_above_50_fps_keeps_its_length(tmp_path):
    path = write(tmp_path, "GIF", frames=clip(80, (8, 8)), fps=80)["GIF"]
    durations = read_durations(path, "GIF") or []
    assert sum(durations) == 1
    assert min(durations) >= Fraction(2, 100)
    source = read_frames(path)
    assert source.fps is not None
    assert len(source) / source.fps == 1


def test_frames_that_do_not_change_stay_frames(tmp_path):
    for path in write(tmp_path, "GIF", "APNG", frames=[frame(0)] * 4).values():
        frames = list(read_frames(path))
        assert len(frames) == 4
        assert frames[0].tobytes() == frames[3].tobytes()


def test_gif_palette_holds_colors_of_every_frame(tmp_path):
    """A palette made of the first frame alone would turn the last one gray."""
    red, gray = (
        Image.new("RGB", (16, 16), (250, 10, 20)),
        Image.linear_gradient("L").resize((16, 16)).convert("RGB"),
    )
    frames = list(read_frames(write(tmp_path, "GIF", frames=[gray, gray, red])["GIF"]))
    assert psnr(red, frames[2]) > 40


@pytest.mark.parametrize("dither", ["floyd-steinberg", "bayer", "none"])
def test_gif_dithers_keep_the_picture(tmp_path, dither):
    options = WriterOptions(gif_dither=dither)
    frames = list(read_frames(write(tmp_path, "GIF", options=options)["GIF"]))
    assert min(psnr(*pair) for pair in zip(clip(), frames, strict=True)) > 30


def test_webp_lossless_is_exact(tmp_path):
    path = write(tmp_path, "WEBP", options=WriterOptions(webp_lossless=True))["WEBP"]
    assert [image.tobytes() for image in read_frames(path)] == [image.tobytes() for image in clip()]


def test_mp4_options_reach_the_encoder(tmp_path):
    fine = write(tmp_path / "fine", "MP4", options=WriterOptions(mp4_crf=5, mp4_tune="animation"))["MP4"]
    coarse = write(tmp_path / "coarse", "MP4", options=WriterOptions(mp4_crf=45, mp4_preset="ultrafast"))[
        "MP4"
    ]
    assert psnr(frame(3), list(read_frames(fine))[3]) > psnr(frame(3), list(read_frames(coarse))[3]) + 5


def test_mp4_begins_with_its_index_and_is_h264_high_as_phones_play_it(tmp_path):
    data = write(tmp_path, "MP4")["MP4"].read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    high_profile = 100  # 8 bit, 4:2:0; richer ones have numbers of their own
    assert data[data.index(b"avcC") + 5] == high_profile


def test_the_same_frames_make_the_same_bytes(tmp_path):
    """But for AVIF, whose encoder notes the time."""
    names = [name for name in MOVING if name not in ("AVIF", "PNG")]
    first = write(tmp_path / "a", *names, infotext=INFOTEXT)
    second = write(tmp_path / "b", *names, infotext=INFOTEXT)
    assert {name: path.read_bytes() for name, path in first.items()} == {
        name: path.read_bytes() for name, path in second.items()
    }
