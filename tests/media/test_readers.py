"""Readers: which frames, which rate, what is refused."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from animatediff_webui.core.errors import ParameterError
from animatediff_webui.media import (
    FfmpegError,
    MediaError,
    MissingPackageError,
    UnreadableMediaError,
    read_frames,
    read_infotext,
    write_animation,
)
from animatediff_webui.media.ffmpeg import raw_frames, run_ffmpeg
from animatediff_webui.media.readers.timeline import build_timeline
from tests.media.clips import Live, clip, frame, psnr

KINDS = ("GIF", "MP4", "WEBM", "WEBP", "APNG", "PNG")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Ten frames in every kind of file."""
    written = write_animation(clip(10), tmp_path_factory.mktemp("clip") / "clip", KINDS, fps=8)
    return {each.format: each.path for each in written}


def make_video(path: Path, *options: str) -> Path:
    run_ffmpeg(["-f", "lavfi", "-i", "testsrc=size=32x24:rate=30000/1001", *options, str(path)])
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "chosen", [(0, None, 1), (3, None, 1), (2, 7, 2), (1, None, 3), (0, 99, 4), (9, 10, 5)]
)
def test_selection_like_a_slice_in_every_kind(files, kind, chosen):
    start, end, stride = chosen
    source = read_frames(files[kind], start=start, end=end, stride=stride)
    expected = list(range(10))[start:end:stride]
    frames = list(source)
    assert len(source) == len(frames) == len(expected)
    assert (
        min(psnr(frame(index, num_frames=10), image) for index, image in zip(expected, frames, strict=True))
        > 27
    )
    assert source.fps == (None if kind == "PNG" else Fraction(8, stride))


@pytest.mark.parametrize("kind", KINDS)
def test_source_can_be_read_again_and_left_early(files, kind):
    source = read_frames(files[kind])
    frames = iter(source)
    first = next(frames)
    del frames
    assert next(image.tobytes() for image in source) == first.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_start_past_the_end_says_how_many_frames_there_are(files, kind):
    with pytest.raises(UnreadableMediaError, match="has 10 frames, so none is left from frame 10"):
        len(read_frames(files[kind], start=10))


@pytest.mark.parametrize("chosen", [{"start": -1}, {"stride": 0}, {"start": 3, "end": 3}])
def test_impossible_selections_are_refused(files, chosen):
    with pytest.raises(MediaError, match="but must be"):
        read_frames(files["GIF"], **chosen)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_is_lazy(files, kind, monkeypatch):
    live, original = Live(lambda image: image), Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda *given, **rest: live(original(*given, **rest)))
    for _ in read_frames(files[kind]):
        assert live.alive <= 3


def shown(source, clip_frames) -> list[int]:
    """Which of the frames of `clip` each frame of a source is nearest to."""
    known = list(clip_frames)
    return [max(range(len(known)), key=lambda index: psnr(known[index], image)) for image in source]


def test_gif_of_varying_durations_is_read_at_its_most_usual_rate(tmp_path):
    path, durations = tmp_path / "uneven.gif", [100, 500, 200, 200]
    first, *rest = (image.quantize(16) for image in clip(4))
    first.save(path, save_all=True, append_images=rest, duration=durations)
    source = read_frames(path)
    assert (source.fps, len(source), source.is_resampled) == (5, 5, True)
    assert shown(source, clip(4)) == [1, 1, 1, 2, 3]
    halved = read_frames(path, start=1, stride=2)
    assert (halved.fps, shown(halved, clip(4))) == (Fraction(5, 2), [1, 2])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 100))
def test_timeline_keeps_the_length_and_shows_what_a_player_shows(durations, hundredths):
    starts = [sum(durations[:index]) for index in range(len(durations))]
    end, tick = sum(durations), Fraction(hundredths, 100)
    timeline = build_timeline(starts, end, tick)
    assert abs(len(timeline.stored) / timeline.fps - end * tick) <= max(tick, 1 / timeline.fps)
    assert list(timeline.stored) == sorted(timeline.stored)
    if not timeline.is_resampled:
        assert list(timeline.stored) == list(range(len(durations)))
    else:
        for index, place in enumerate(timeline.stored):
            assert starts[place] * tick <= (index + Fraction(1, 2)) / timeline.fps


@given(st.integers(2, 300), st.sampled_from([Fraction(8), Fraction(30000, 1001), Fraction(60)]))
def test_timeline_takes_each_frame_once_where_times_are_only_rounded(num_frames, fps):
    starts = [round(index * 1000 / fps) for index in range(num_frames + 1)]
    timeline = build_timeline(starts[:-1], starts[-1], Fraction(1, 1000), [fps])
    assert (timeline.fps, list(timeline.stored)) == (fps, list(range(num_frames)))


def test_gif_without_delays_plays_at_ten_frames_as_in_browsers(tmp_path):
    path = tmp_path / "hurried.gif"
    first, *rest = (image.quantize(16) for image in clip(4))
    first.save(path, save_all=True, append_images=rest)
    assert read_frames(path).fps == 10


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mkv", "a.avi", "a.mpg", "a.flv", "a.nut"])
def test_containers_keep_television_rates_and_every_frame(tmp_path, name):
    source = read_frames(make_video(tmp_path / name, "-frames:v", "20"))
    assert source.fps == Fraction(30000, 1001)
    assert source.size == (32, 24)
    assert len(source) == len(list(source)) == 20


def numbered_video(path: Path, num_frames: int, *options: str) -> Path:
    """A video whose frame `i` is of brightness 4 i + 8."""
    frames = (bytes([4 * index + 8]) * (32 * 24 * 3) for index in range(num_frames))
    run_ffmpeg([*raw_frames((32, 24), Fraction(30000, 1001)), *options, str(path)], frames)
    return path


def numbers(images) -> list[int]:
    return [round((image.getpixel((16, 12))[1] - 8) / 4) for image in images]


def test_video_of_varying_rate_is_read_at_its_most_usual_rate(tmp_path):
    choice = "select='gte(n,12)+not(mod(n,4))',setpts=PTS"
    path = numbered_video(tmp_path / "uneven.mkv", 40, "-vf", choice, "-fps_mode", "passthrough")
    source = read_frames(path)
    assert (source.is_resampled, source.fps, len(source)) == (True, Fraction(30), 40)
    assert numbers(source) == [0] * 4 + [4] * 4 + [8] * 4 + list(range(12, 40))


GOPS = [("-g", "8", "-bf", "3"), ("-g", "250", "-bf", "0"), ("-g", "5", "-bf", "2", "-flags", "-cgop")]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "a.mkv", "a.avi", "a.ts", "vp8.webm"])
@pytest.mark.parametrize("group", GOPS[:1])
def test_any_frame_of_a_video_can_be_asked_for_in_any_order(tmp_path, name, group):
    vp8 = ("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "10", "-b:v", "2M", "-crf", "4")
    codec = vp8 if name == "vp8.webm" else ()
    source = read_frames(numbered_video(tmp_path / name, 50, *group, *codec, "-pix_fmt", "yuv420p"))
    order = [30, 0, 49, 48, 7, 8, 9, 41, 12]
    assert len(source) == 50
    assert source.fps == Fraction(30000, 1001)
    assert numbers(source) == list(range(50))
    assert numbers(source.read(order)) == order
    assert numbers([source[23], *source[3:9:3]]) == [23, 3, 6]


@pytest.mark.parametrize("group", GOPS[1:])
def test_any_frame_whatever_the_groups_of_pictures_are(tmp_path, group):
    source = read_frames(numbered_video(tmp_path / "a.mp4", 50, *group, "-pix_fmt", "yuv420p"))
    assert numbers(source.read([33, 11, 12, 47, 0])) == [33, 11, 12, 47, 0]


def test_part_of_a_video_by_time(tmp_path):
    path = numbered_video(tmp_path / "a.mp4", 50, "-pix_fmt", "yuv420p")
    source = read_frames(path, start="0.5s", end="1s", stride=3)
    assert source.fps == Fraction(10000, 1001)
    assert numbers(source) == [15, 18, 21, 24, 27]


def test_folder_counts_times_by_the_rate_that_is_given(tmp_path):
    for index in range(10):
        frame(index).save(tmp_path / f"{index}.png")
    assert list(read_frames(tmp_path, start="0.5s", fps=Fraction(8)).indices) == [4, 5, 6, 7, 8, 9]
    with pytest.raises(ParameterError, match=r"video_start is 0\.5s, but a folder has no rate"):
        read_frames(tmp_path, start="0.5s")


def test_folder_of_different_sizes_names_the_first_picture_that_differs(tmp_path):
    for index in range(4):
        frame(index, (32, 24 if index < 2 else 26)).save(tmp_path / f"{index}.png")
    with pytest.raises(UnreadableMediaError, match=r"2\.png has 32 x 26 pixels, but 0\.png has 32 x 24"):
        read_frames(tmp_path)


def cut_short(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_video_that_ends_early_is_refused_but_for_the_part_that_is_there(tmp_path, name):
    options = ("-movflags", "+faststart") if name == "a.mp4" else ()
    path = make_video(tmp_path / name, "-frames:v", "90", "-g", "10", "-pix_fmt", "yuv420p", *options)
    cut_short(path, 0.5)
    with pytest.raises(UnreadableMediaError, match=r"ends early, after \d+ frames") as refused:
        read_frames(path)
    there = int(re.findall(r"after (\d+) frames", str(refused.value))[0])
    assert 10 < there < 80
    assert len(list(read_frames(path, end=there - 2))) == there - 2


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path):
    """Measured in processes of their own, as a peak never falls."""
    code = (
        "import resource, sys; from animatediff_webui.media import read_frames\n"
        "source = read_frames(sys.argv[1])\n"
        "for _ in source: pass\n"
        "print(len(source), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for num_frames in (30, 900):
        size = ("-frames:v", str(num_frames), "-vf", "scale=320:240")
        path = make_video(tmp_path / f"{num_frames}.mp4", *size)
        output = subprocess.check_output([sys.executable, "-c", code, str(path)], text=True)
        count, peak = map(int, output.split())
        assert count == num_frames
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 20_000  # the frames themselves are 207 MB


def test_turned_video_is_read_upright(tmp_path):
    path = make_video(tmp_path / "plain.mp4", "-frames:v", "3", "-pix_fmt", "yuv420p")
    turned = tmp_path / "turned.mp4"
    try:
        run_ffmpeg(["-display_rotation", "90", "-i", str(path), "-c", "copy", str(turned)])
    except FfmpegError:
        pytest.skip("this ffmpeg cannot turn videos")
    source = read_frames(turned)
    assert source.size == (24, 32)
    assert next(iter(source)).size == (24, 32)


def test_sound_is_passed_over(tmp_path):
    path = tmp_path / "loud.mp4"
    run_ffmpeg(
        [
            "-f",
            "lavfi",
            "-i",
            "sine=duration=1",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=32x24:rate=8:duration=1",
            str(path),
        ]
    )
    assert len(read_frames(path)) == 8


def test_folder_in_natural_order_other_files_passed_over(tmp_path):
    for index, name in enumerate(["frame 2.png", "frame 10.png", "Frame 11.png", "frame 100.jpg"]):
        frame(index).save(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".frame 0.png").touch()
    source = read_frames(tmp_path)
    assert source.fps is None
    assert [psnr(frame(index), image) > 30 for index, image in enumerate(source)] == [True] * 4


def test_apng_with_a_cover_skips_the_cover(tmp_path):
    path = tmp_path / "cover.png"
    frame(5).save(path, save_all=True, default_image=True, append_images=list(clip(3)), duration=100)
    assert [image.tobytes() for image in read_frames(path)] == [image.tobytes() for image in clip(3)]


@pytest.mark.parametrize(
    "path",
    [
        "http://localhost/a.mp4",
        "https://localhost/a.mp4",
        "file:///etc/hostname",
        "concat:a.mp4|b.mp4",
        "pipe:0",
        "data:image/png;base64,AAAA",
        "subfile,,start,0,end,9,,:a.mp4",
        "//server/share/a.mp4",
        "\\\\server\\share\\a.mp4",
        "../a.mp4",
        "frames/../../a.mp4",
        "frames\\..\\a.mp4",
        "a\0.mp4",
        "no such file.mp4",
        "",
        "/dev/zero",
    ],
)
def test_what_is_no_local_file_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for read in (read_frames, read_infotext):
        if path == "":
            continue
        with pytest.raises(UnreadableMediaError):
            read(path)


def test_files_with_names_like_addresses_are_read_as_files(files, tmp_path, monkeypatch):
    for name in ("concat:a.mp4", "100%d.mp4", "-y.mp4", "a'b;c.mp4"):
        (tmp_path / name).write_bytes(files["MP4"].read_bytes())
        assert len(read_frames(tmp_path / name)) == 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{video}\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{video}\n#EXT-X-ENDLIST\n"),
        ("script.mp4", "ffconcat version 1.0\nfile '{video}'\n"),
    ],
)
def test_playlists_cannot_name_other_files(files, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text.format(video=files["MP4"]))
    with pytest.raises(UnreadableMediaError):
        list(read_frames(path))


@pytest.mark.parametrize("kind", ["GIF", "MP4", "WEBM", "WEBP", "APNG"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3])
def test_damaged_files_give_one_sentence_or_the_frames_that_are_whole(files, tmp_path, kind, kept):
    data = files[kind].read_bytes()
    path = tmp_path / files[kind].name
    path.write_bytes(data[: int(len(data) * kept)])
    outcome = ""
    try:
        frames = list(read_frames(path))
    except MediaError as error:
        outcome, frames = str(error), []
    assert len(frames) <= 10
    assert bool(frames) != bool(outcome)
    assert "\n" not in outcome


@pytest.mark.parametrize("name", ["noise.mp4", "noise.gif", "noise.png"])
def test_noise_gives_one_sentence(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 40)
    for read in (read_frames, read_infotext):
        with pytest.raises(UnreadableMediaError, match=name) as raised:
            read(path)
        assert "\n" not in str(raised.value)


def test_empty_folder_says_what_to_give(tmp_path):
    with pytest.raises(UnreadableMediaError, match="holds no pictures"):
        read_frames(tmp_path)
    assert read_infotext(tmp_path) is None


def test_a_broken_video_is_named_once_with_the_reason(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + b"x" * 300)
    with pytest.raises(UnreadableMediaError, match="not a video that can be read") as caught:
        read_frames(path)
    assert str(caught.value).count("broken.mp4") == 1
    assert "Errno" not in str(caught.value)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    run_ffmpeg(["-f", "lavfi", "-i", "sine=duration=0.2", str(path)])
    with pytest.raises(UnreadableMediaError, match="not a video"):
        read_frames(path)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp"])
def test_more_pixels_than_are_read_of_videos_are_refused_of_pictures_too(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"large{suffix}"
    frame(0).save(path)
    monkeypatch.setattr("animatediff_webui.media.readers.local.MAX_PIXELS", 100)
    with pytest.raises(UnreadableMediaError, match="has 32 x 24 pixels"):
        read_frames(path)
    with pytest.raises(UnreadableMediaError, match="has 32 x 24 pixels"):
        list(read_frames(tmp_path))


@pytest.mark.filterwarnings("error")
def test_pillow_does_not_warn_of_sizes_that_are_checked_here(tmp_path, monkeypatch):
    frame(0).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert len(read_frames(tmp_path / "large.png")) == 1


@pytest.mark.parametrize("kind", ["GIF", "APNG", "WEBP"])
def test_opening_an_animated_picture_decodes_at_most_one_frame(files, kind, monkeypatch):
    """So that forty frames that unpack to gigabytes cost nothing before they are asked for."""
    loaded: list[object] = []
    original = ImageFile.ImageFile.load

    def counted(self):
        loaded.append(self)
        return original(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted)
    source = read_frames(files[kind])
    assert (len(source), source.fps) == (10, 8)
    assert len(loaded) <= 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3000), st.randoms(use_true_random=False))
def test_changed_animated_pictures_give_frames_or_one_sentence(files, length, random):
    for kind in ("GIF", "APNG", "WEBP"):
        data = bytearray(files[kind].read_bytes())[:length]
        for _ in range(3):
            data[random.randrange(len(data))] = random.randrange(256)
        with TemporaryDirectory() as folder:
            path = Path(folder, "changed")
            path.write_bytes(data)
            with suppress(UnreadableMediaError):
                list(itertools.islice(read_frames(path), 20))


@pytest.mark.parametrize("text", ["x" * 300, "x" * 5000, "a/" * 3000])
def test_names_that_are_too_long_are_refused_in_a_sentence(text):
    with pytest.raises(UnreadableMediaError, match="check the path"):
        read_frames(text)


def test_missing_av_is_named_with_what_to_run(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingPackageError, match="pip install av"):
        read_frames(files["MP4"])


def test_webui_reads_the_infotext_of_webp_by_its_own_rule(tmp_path):
    """That rule: UserComment, eight bytes of header, then big-endian UTF-16."""
    (webp,) = write_animation(clip(2), tmp_path / "clip", ["WEBP"], fps=8, infotext="\u6f22 a")
    with Image.open(webp.path) as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment == b"UNICODE\0" + "\u6f22 a".encode("utf-16-be")
