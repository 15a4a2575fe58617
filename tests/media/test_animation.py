"""What `write_animation` promises: one pass, failures apart, interruptions, names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import animatediff_webui.media.writers.png as png
from animatediff_webui.core.errors import ParameterError
from animatediff_webui.core.frames import ordered_frames
from animatediff_webui.media import (
    MediaError,
    Playback,
    WriterOptions,
    WrittenFile,
    read_frames,
    read_infotext,
    write_animation,
)
from animatediff_webui.media.interpolation.methods import interpolate
from tests.media.clips import ALL, Live, clip, frame


class Stopped(BaseException):
    """Not an Exception, like KeyboardInterrupt."""


def stopping_after(count: int, error: BaseException) -> Iterator[Image.Image]:
    yield from clip(count)
    raise error


def test_long_clip_to_all_formats_few_frames_are_alive_at_once(tmp_path):
    live = Live(frame)
    written = write_animation((live(index) for index in range(100)), tmp_path / "long", ALL, fps=8)
    assert {each.format for each in written if each.error is None} >= set(ALL) - {"AVIF"}
    assert live.peak <= 3
    assert live.alive == 0


def test_writers_read_few_frames_at_once(tmp_path, monkeypatch):
    """The frames that come back from the disk are counted too, not only those that went there."""
    live, original = Live(lambda image: image), Image.frombytes

    def counted(*arguments, **rest):
        return live(original(*arguments, **rest))

    monkeypatch.setattr(Image, "frombytes", counted)
    write_animation(clip(80), tmp_path / "long", ALL, fps=8)
    assert 1 <= live.peak <= 3


@pytest.mark.parametrize("error", [Stopped(), KeyboardInterrupt(), GeneratorExit(), RuntimeError("sampler")])
def test_frames_that_raise_what_came_is_written_and_the_error_goes_on(tmp_path, error):
    reports: list[WrittenFile] = []
    with pytest.raises(type(error)) as raised:
        write_animation(
            stopping_after(4, error), tmp_path / "clip", ["GIF", "PNG"], fps=8, report=reports.append
        )
    assert raised.value is error
    assert [each.error for each in reports] == [None, None]
    assert [len(read_frames(each.path)) for each in reports] == [4, 4]


def test_frames_that_raise_at_once_write_nothing(tmp_path):
    with pytest.raises(Stopped):
        write_animation(stopping_after(0, Stopped()), tmp_path / "clip", ["GIF"], fps=8)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_ends_the_clip_with_a_sentence(tmp_path):
    frames = [frame(0), frame(1), frame(2, (16, 16))]
    with pytest.raises(MediaError, match=r"Frame 2 is 16 x 16 pixels, but the clip began with 32 x 24"):
        write_animation(frames, tmp_path / "clip", ["APNG"], fps=8)
    assert len(read_frames(tmp_path / "clip.png")) == 2


def test_no_frames_is_an_error(tmp_path):
    with pytest.raises(MediaError, match="no frames"):
        write_animation([], tmp_path / "clip", ["GIF"], fps=8)


def test_missing_ffmpeg_package_costs_only_video_and_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    mp4, gif = write_animation(clip(), tmp_path / "clip", ["MP4", "GIF"], fps=8)
    assert mp4.error is not None
    assert "pip install imageio-ffmpeg" in mp4.error
    assert gif.error is None
    assert gif.path.is_file()


def test_missing_avif_codec_names_its_plugin(tmp_path, monkeypatch):
    monkeypatch.delitem(Image.SAVE_ALL, "AVIF", raising=False)
    monkeypatch.setitem(sys.modules, "pillow_avif", None)
    (avif,) = write_animation(clip(), tmp_path / "clip", ["AVIF"], fps=8)
    assert avif.error is not None
    assert "pip install pillow-avif-plugin" in avif.error


def test_failing_ffmpeg_its_reason_is_in_the_error_and_nothing_is_left(tmp_path, monkeypatch):
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho '[out @ 0x1] [error] Unknown encoder libx264' >&2\nexit 8\n")
    script.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(script))
    (mp4,) = write_animation(clip(), tmp_path / "out" / "clip", ["MP4"], fps=8)
    assert mp4.error == "MP4 was not written: ffmpeg failed (Unknown encoder libx264)."
    assert list((tmp_path / "out").iterdir()) == []


@given(st.integers(1, 5), st.sets(st.sampled_from([0, 1, 2])))
def test_frames_are_played_in_the_order_given_and_saved_in_their_own(num_frames, reverse):
    order = ordered_frames(num_frames, reverse)
    with TemporaryDirectory() as folder:
        formats = ["APNG", "PNG"]
        written = write_animation(
            clip(num_frames, (4, 4)), Path(folder, "clip"), formats, fps=8, playback=Playback(order)
        )
        assert [each.num_frames for each in written] == [len(order), num_frames]
        indices = [order, range(num_frames)]
        for each, shown in zip(written, indices, strict=True):
            frames = [image.tobytes() for image in read_frames(each.path)]
            assert frames == [frame(index, (4, 4), num_frames).tobytes() for index in shown]


def test_frames_beyond_the_animation_are_saved_beside_it_unless_all_are_saved(tmp_path):
    playback = Playback((0, 1), beyond=(2, 3))
    beside = write_animation(clip(4), tmp_path / "a", ["APNG"], fps=8, playback=playback)
    assert [(each.format, each.path.name, each.num_frames) for each in beside] == [
        ("APNG", "a.png", 2),
        ("PNG", "a-beyond", 2),
    ]
    assert [image.tobytes() for image in read_frames(tmp_path / "a-beyond")] == [
        frame(index, num_frames=4).tobytes() for index in (2, 3)
    ]
    together = write_animation(clip(4), tmp_path / "b", ["APNG", "PNG"], fps=8, playback=playback)
    assert [(each.path.name, each.num_frames) for each in together] == [("b.png", 2), ("b", 4)]


def test_a_part_of_a_clip_says_so_in_its_infotext_and_its_number_of_frames(tmp_path):
    reports: list[WrittenFile] = []
    with pytest.raises(Stopped):
        write_animation(
            stopping_after(3, Stopped()), tmp_path / "clip", ["GIF", "APNG"], fps=8,
            infotext="a cat\nSteps: 4", playback=Playback((0, 1, 2, 3, 4, 5, 4, 3)), report=reports.append,
        )  # fmt: skip
    assert [each.num_frames for each in reports] == [3, 3]
    for each in reports:
        assert read_infotext(each.path) == "a cat\nSteps: 4, AnimateDiff note: interrupted after 3 frames"


def test_ctrl_c_while_a_file_is_written_waits_for_the_files(tmp_path, monkeypatch):
    original, presses = png.write, [KeyboardInterrupt()]

    def pressed(clip, path, options):
        if presses:
            raise presses.pop()
        original(clip, path, options)

    monkeypatch.setattr(png, "write", pressed)
    reports: list[WrittenFile] = []
    with pytest.raises(KeyboardInterrupt):
        write_animation(clip(), tmp_path / "clip", ["PNG", "GIF"], fps=8, report=reports.append)
    written = [(each.format, each.error, each.num_frames) for each in reports]
    assert written == [("PNG", None, 6), ("GIF", None, 6)]


def test_second_ctrl_c_leaves_no_temporary_files(tmp_path, monkeypatch):
    def interrupted(clip, path, options):
        path.mkdir()
        (path / "half.png").write_bytes(b"")
        raise KeyboardInterrupt

    monkeypatch.setattr(png, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_animation(clip(), tmp_path / "clip", ["PNG"], fps=8)
    assert list(tmp_path.iterdir()) == []


def test_formats_any_case_and_repeated_are_written_once(tmp_path):
    written = write_animation(clip(), tmp_path / "clip", ["gif", "GIF", "Txt"], fps=8, infotext="x")
    assert [(each.format, each.path.name, each.mime) for each in written] == [
        ("GIF", "clip.gif", "image/gif"),
        ("TXT", "clip.txt", "text/plain"),
    ]


def test_stem_with_dots_keeps_them(tmp_path):
    (gif,) = write_animation(clip(2), tmp_path / "00001-7-v1.2", ["GIF"], fps=8)
    assert gif.path.name == "00001-7-v1.2.gif"


def test_existing_file_is_replaced_but_a_folder_of_frames_is_not(tmp_path):
    write_animation(clip(2), tmp_path / "clip", ["GIF", "PNG"], fps=8)
    gif, frames = write_animation(clip(3), tmp_path / "clip", ["GIF", "PNG"], fps=8)
    assert gif.error is None
    assert len(read_frames(gif.path)) == 3
    assert "exists already" in str(frames.error)
    assert len(read_frames(frames.path)) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"formats": ["GIF", "FLI"]}, "'FLI' is not known: use GIF"),
        ({"formats": []}, "No format"),
        ({"loop_count": -1}, "loop count is -1"),
    ],
)
def test_impossible_requests_are_refused_before_a_frame_is_taken(tmp_path, arguments, words):
    frames = iter([frame(0)])
    with pytest.raises(MediaError, match=words):
        write_animation(frames, tmp_path / "clip", **{"formats": ["GIF"], "fps": 8, **arguments})
    assert next(frames)


def test_an_impossible_rate_is_refused_before_a_frame_is_taken(tmp_path):
    frames = iter([frame(0)])
    with pytest.raises(ParameterError, match="fps is 0"):
        write_animation(frames, tmp_path / "clip", ["GIF"], fps=0)
    assert next(frames)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mp4_crf": 52}, "mp4_crf is 52, but must be a whole number from 0 to 51"),
        ({"webp_quality": True}, "webp_quality is True"),
        ({"mp4_preset": "quick"}, "mp4_preset is 'quick', but must be one of ultrafast"),
        ({"gif_dither": "sierra"}, "gif_dither"),
    ],
)
def test_options_out_of_bounds_are_refused(options, words):
    with pytest.raises(MediaError, match=words):
        WriterOptions(**options)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "APNG"])
def test_frames_too_long_for_a_format_cost_only_that_format(tmp_path, name):
    slow, mp4 = write_animation(clip(2), tmp_path / "clip", [name, "MP4"], fps=1 / 70_000)
    assert f"{name} cannot show a frame for 70000 s" in str(slow.error)
    assert mp4.error is None


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    written = write_animation(clip(2), tmp_path / "clip", ["GIF", "MP4", "TXT"], fps=8)
    plain = tmp_path / "plain"
    plain.touch()
    assert {each.path.stat().st_mode for each in written} == {plain.stat().st_mode}


def write_script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_gifsicle_asked_for_and_present_writes_the_gif(tmp_path, monkeypatch):
    write_script(tmp_path / "gifsicle", 'while [ "$1" != --output ]; do shift; done; printf smaller > "$2"')
    monkeypatch.setenv("PATH", str(tmp_path))
    (gif,) = write_animation(
        clip(2), tmp_path / "out" / "clip", ["GIF"], fps=8, options=WriterOptions(gif_gifsicle=True)
    )
    assert gif.error is None
    assert gif.path.read_bytes() == b"smaller"
    assert list(gif.path.parent.iterdir()) == [gif.path]


def test_gifsicle_asked_for_but_absent_is_said_and_the_gif_is_written(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    (gif,) = write_animation(
        clip(2), tmp_path / "clip", ["GIF"], fps=8, options=WriterOptions(gif_gifsicle=True)
    )
    assert gif.error is None
    assert "gifsicle was asked for" in caplog.text


def test_frames_in_between_are_in_every_format_but_those_of_single_frames(tmp_path):
    playback = Playback(played=[0, 1, 2, 1], between=lambda frames: interpolate(frames, 3, looped=True))
    gif, mp4, folder = write_animation(
        clip(4, (40, 40)), tmp_path / "clip", ["GIF", "MP4", "PNG"], fps=9, playback=playback
    )
    assert (gif.num_frames, mp4.num_frames, folder.num_frames) == (12, 12, 4)
    assert len(read_frames(mp4.path)) == 12
    assert read_frames(mp4.path).fps == 9


def test_frames_in_between_that_cannot_be_made_are_one_sentence_and_the_frames_are_kept(tmp_path):
    def refuse(_frames):
        raise MediaError("No.")
        yield

    gif, folder = write_animation(
        clip(3), tmp_path / "clip", ["GIF", "PNG"], fps=8, playback=Playback(between=refuse)
    )
    assert gif.error == "GIF was not written: No."
    assert len(list(folder.path.iterdir())) == 3


def test_ctrl_c_while_frames_in_between_are_made_keeps_those_that_are_ready(tmp_path):
    def stopped(frames):
        yield next(frames := iter(frames))
        yield next(frames)
        raise KeyboardInterrupt

    written, playback = [], Playback(between=stopped)
    with pytest.raises(KeyboardInterrupt):
        write_animation(clip(3), tmp_path / "clip", ["GIF"], fps=8, playback=playback, report=written.append)
    assert (written[0].num_frames, written[0].error) == (2, None)
