"""What a clip is made from: which frames and masks, where they may be, and the sound."""

from __future__ import annotations

import base64
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.parameters import Parameters, parse_parameters
from animatediff_webui.core.plan import build_plan
from animatediff_webui.media import Sound, UnreadableMediaError, opened_source, write_animation
from animatediff_webui.media.ffmpeg import run_ffmpeg
from animatediff_webui.media.readers.local import local_path
from animatediff_webui.session import Session
from tests.media.clips import clip, frame

RATE = Fraction(30000, 1001)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Three seconds at 30000/1001; a tone that is silent but for the second second."""
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    tone = "sine=frequency=600:duration=3,volume='between(t,1,2)':eval=frame"
    picture = "testsrc=size=64x48:rate=30000/1001:duration=3"
    run_ffmpeg(["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-pix_fmt", "yuv420p", str(path)])
    return path


def folder_of(path: Path, num_frames: int) -> Path:
    path.mkdir(parents=True)
    for index in range(num_frames):
        frame(index).save(path / f"{index}.png")
    return path


def lengths(**values: object) -> list[tuple[str, int | None]]:
    with opened_source(parse_parameters(values)) as source:
        return [(info.name, info.num_frames) for info in source.infos]


def test_folder_wins_over_video_and_its_parts_are_found(tmp_path, video):
    folder_of(tmp_path / "all" / "image", 5)
    folder_of(tmp_path / "all" / "mask", 4)
    asked = {"video_source": str(video), "video_path": str(tmp_path / "all")}
    assert lengths(**asked) == [("the source (image)", 5), ("the masks (mask)", 4)]
    assert lengths(video_source=str(video)) == [("the source (a.mp4)", 90)]
    other = folder_of(tmp_path / "other", 3)
    assert lengths(**asked, mask_path=str(other)) == [("the source (image)", 5), ("the masks (other)", 3)]
    assert lengths() == []


def test_masks_are_those_of_the_chosen_frames(tmp_path):
    frames, masks = folder_of(tmp_path / "frames", 8), folder_of(tmp_path / "masks", 8)
    values = {"video_path": str(frames), "mask_path": str(masks), "video_start": 2, "video_stride": 3}
    with opened_source(parse_parameters(values)) as source:
        chosen, belonging = list(source.read_frames([0, 1])), list(source.read_masks([0, 1]))
    assert [image.tobytes() for image in chosen] == [image.tobytes() for image in belonging]
    assert chosen[1].tobytes() == frame(5).tobytes()


def test_one_mask_serves_all_frames(tmp_path, video):
    frame(2).save(tmp_path / "mask.png")
    asked = parse_parameters({"video_source": str(video), "mask_path": str(tmp_path / "mask.png")})
    with opened_source(asked) as source:
        assert [info.num_frames for info in source.infos] == [90, None]
        assert [image.tobytes() for image in source.read_masks([0, 40])] == [frame(2).tobytes()] * 2


def test_plan_of_a_source_keeps_its_rate_as_a_fraction(video):
    asked = parse_parameters({"video_source": str(video), "video_stride": 2, "video_start": "1s"})
    with opened_source(asked) as source:
        plan = build_plan(asked, module=None, sources=source.infos)
    assert (plan.fps, plan.video_frames, plan.notes) == (RATE / 2, 30, ())


@pytest.mark.parametrize("missing", ["video_source", "video_path", "mask_path"])
def test_missing_files_are_named(missing):
    with pytest.raises(UnreadableMediaError, match="no-such is not an existing file"):
        lengths(**{missing: "no-such"})


# ------------------------------------------------------------------------------- requests from elsewhere


def test_requests_from_elsewhere_name_what_the_host_lets_them_name(video):
    asked = parse_parameters({"video_source": str(video)})
    with pytest.raises(UnreadableMediaError, match="may not be read"), opened_source(asked, _nothing):
        pass


def _read_and_fail(asked: Parameters) -> None:
    with opened_source(asked, local_path) as source:
        assert len(list(source.read_frames(range(5)))) == 5
        raise RuntimeError


def test_request_brings_a_small_file_which_is_removed_in_the_end(tmp_path, monkeypatch, video):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    encoded = base64.b64encode(video.read_bytes()).decode()
    for text in (encoded, f"data:video/mp4;base64,{encoded}"):
        asked = parse_parameters({"video_source": text, "video_end": 5})
        with pytest.raises(RuntimeError):
            _read_and_fail(asked)
        assert list(tmp_path.iterdir()) == []


def _nothing(text: str) -> Path:
    raise UnreadableMediaError(f"{text} may not be read.")


@pytest.mark.parametrize("text", ["data:video/mp4;base64,AAAA", "http://localhost/a.mp4", "/etc/hostname"])
def test_request_with_anything_else_is_refused_in_a_sentence(text):
    asked = parse_parameters({"video_source": text})
    with pytest.raises(UserError) as refused, opened_source(asked, _nothing):
        pass
    assert "\n" not in str(refused.value)


# ------------------------------------------------------------------------------------------------- sound


def streams(path: Path) -> dict[str, tuple[float, float]]:
    """Begin and end of each stream, in seconds."""
    found: dict[str, tuple[float, float]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is None or not packet.size:
                continue
            begin = float(packet.pts * packet.time_base)
            end = begin + float((packet.duration or 0) * packet.time_base)
            earlier, later = found.get(packet.stream.type, (begin, end))
            found[packet.stream.type] = (min(begin, earlier), max(end, later))
    return found


def loud_part(path: Path) -> tuple[float, float]:
    """When the first and the last sample are loud, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        pieces = []
        for decoded in container.decode(stream):
            start = round(float(decoded.time or 0) * 48000)
            for piece in resampler.resample(decoded):
                pieces.append((start, piece.to_ndarray()[0]))
    loud = [start + np.flatnonzero(np.abs(samples) > 0.05) for start, samples in pieces]
    places = np.concatenate(loud)
    return float(places.min()) / 48000, float(places.max()) / 48000


@pytest.mark.parametrize("kind", ["MP4", "MOV", "WEBM"])
@pytest.mark.parametrize(("start", "stride"), [(0, 1), (15, 1), (12, 3)])
def test_sound_is_cut_to_the_part_and_stays_with_the_pictures(tmp_path, video, kind, start, stride):
    values = {"video_source": str(video), "video_start": start, "video_stride": stride, "format": kind}
    asked = parse_parameters({"enable": True, **values})
    with opened_source(asked) as source:
        plan = build_plan(asked, module=None, sources=source.infos)
        session = Session(plan, 1, 0, sound=source.sound)
        (written,) = session.write(source.read_frames(range(plan.num_frames)), tmp_path, "")
    assert written.error is None
    length, begin = (90 - start) / float(RATE), start / float(RATE)
    found = streams(written.path)
    assert found["video"][1] - found["video"][0] == pytest.approx(length, abs=0.04)
    assert found["audio"][1] == pytest.approx(length, abs=0.06)
    assert loud_part(written.path) == pytest.approx((1 - begin, 2 - begin), abs=0.03)


def test_sound_that_begins_after_the_pictures_still_does(tmp_path, video):
    late = tmp_path / "late.mkv"
    both = ["-i", str(video), "-itsoffset", "0.5", "-i", str(video), "-map", "0:v", "-map", "1:a"]
    run_ffmpeg([*both, str(late)])
    (written,) = write_animation(
        clip(60), tmp_path / "clip", ["MP4"], fps=RATE, sound=Sound(late, Fraction(1, 4))
    )
    assert loud_part(written.path)[0] == pytest.approx(1.25, abs=0.03)


def test_no_sound_where_it_is_off_or_there_is_none(tmp_path, video):
    silent = tmp_path / "silent.mp4"
    run_ffmpeg(["-i", str(video), "-an", "-c", "copy", str(silent)])
    for values in ({"video_source": str(video), "audio": False}, {"video_source": str(silent)}):
        asked = parse_parameters({"enable": True, "format": "MP4", "video_length": 8, **values})
        with opened_source(asked) as source:
            plan = build_plan(asked, module=None, sources=source.infos)
            session = Session(plan, 1, 0, sound=source.sound)
            written, *_ = session.write(source.read_frames(range(plan.num_frames)), tmp_path, "")
        assert set(streams(written.path)) == {"video"}


def test_broken_sound_is_one_sentence_about_that_format(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 100)
    sound = Sound(tmp_path / "broken.mp4", Fraction(0))
    gif, mp4 = write_animation(clip(3), tmp_path / "clip", ["GIF", "MP4"], fps=8, sound=sound)
    assert gif.error is None
    assert mp4.error is not None
    assert "\n" not in mp4.error
