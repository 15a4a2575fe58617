"""One request under way: stopping, counting and writing, the same for every host."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest

from animatediff_webui.core.parameters import parse_parameters
from animatediff_webui.core.plan import build_plan
from animatediff_webui.core.windowed import SamplingStoppedError
from animatediff_webui.media import read_frames, read_infotext
from animatediff_webui.media.errors import WritingStoppedError
from animatediff_webui.media.interpolation import methods
from animatediff_webui.session import Session
from tests.media.clips import clip, frame


def build_session(num_steps: int = 4, **asked: Any) -> Session:
    return Session(build_plan(parse_parameters({"format": "APNG", **asked}), module=None), num_steps, seed=7)


def sample(session: Session) -> None:
    """What a host does: all windows of all steps."""
    for step in range(session.num_steps):
        total = len(session.plan.windows(step))
        for done in range(total + 1):
            session.before_window(step, done, total)


def test_windows_are_counted_up_to_the_number_foreseen():
    session = build_session(video_length=40, stride=2)
    seen: list[tuple[int, int]] = []
    session.on_window = lambda now, denoised: seen.append((now.step, now.windows_begun))
    sample(session)
    assert session.windows_begun == session.total_windows == len(seen)
    assert [count for _, count in seen] == list(range(len(seen)))
    assert [step for step, _ in seen] == sorted(step for step, _ in seen)


def test_a_stop_is_heard_before_the_next_window():
    session = build_session(video_length=40)
    session.on_window = lambda now, denoised: now.stop() if now.windows_begun == 2 else None
    with pytest.raises(SamplingStoppedError):
        sample(session)
    assert session.windows_begun == 3


def test_a_stop_after_the_last_window_loses_nothing():
    session = build_session(num_steps=1)
    session.before_window(0, 0, 1)
    session.stop()
    session.before_window(0, 1, 1)


def test_a_host_may_have_a_button_of_its_own():
    pressed: list[bool] = []
    session = build_session()
    session.is_stopped = lambda: bool(pressed)
    session.before_window(0, 0, 1)
    pressed.append(True)
    assert session.is_stopping
    with pytest.raises(SamplingStoppedError):
        session.before_window(1, 0, 1)


def test_write_plays_the_frames_in_order_and_saves_the_others(tmp_path):
    session = build_session(video_length=4, batch_size=6, reverse=[0, 1, 2])
    written = session.write(clip(6), tmp_path, "a cat")
    assert [(each.format, each.num_frames) for each in written] == [("APNG", 6), ("PNG", 2)]
    assert written == session.files
    order = [0, 1, 2, 3, 2, 1]
    assert [each.tobytes() for each in read_frames(written[0].path)] == [
        frame(index).tobytes() for index in order
    ]
    assert [each.tobytes() for each in read_frames(written[1].path)] == [
        frame(index).tobytes() for index in (4, 5)
    ]
    assert written[0].path.parent.parent == tmp_path / "AnimateDiff"


def test_write_saves_each_frame_once_however_they_are_played(tmp_path):
    session = build_session(format=["APNG", "PNG"], video_length=4, batch_size=6, reverse=[0, 1, 2])
    assert [(each.format, each.num_frames) for each in session.write(clip(6), tmp_path, "")] == [
        ("APNG", 6),
        ("PNG", 6),
    ]


def test_write_puts_as_many_frames_in_between_as_asked_and_saves_each_generated_one_once(tmp_path):
    session = build_session(
        video_length=4, batch_size=4, closed_loop="A", interp="Motion-compensated", interp_x=3,
        format=["APNG", "PNG"],
    )  # fmt: skip
    moving, folder = session.write(clip(4, (40, 40)), tmp_path, "")
    assert (moving.num_frames, folder.num_frames) == (18, 4)
    assert len(read_frames(moving.path)) == 18


@pytest.mark.parametrize("way", ["stop", "button of the host"])
def test_a_stop_while_frames_are_put_in_between_keeps_those_that_are_there_and_says_so(way, tmp_path):
    class Interrupted(FakeNetwork):
        def __call__(self, store, factor, models):
            for number, each in enumerate(super().__call__(store, factor, models)):
                if number == 4:
                    pressed.append(True)
                    if way == "stop":
                        session.stop()
                yield each

    pressed: list[bool] = []
    session = build_session(batch_size=4, interp="FILM", interp_x=3, format=["APNG", "PNG"])
    if way != "stop":
        session.is_stopped = lambda: bool(pressed)
    with replaced_network(Interrupted()), pytest.raises(WritingStoppedError, match="after 5 of 12 frames"):
        session.write(clip(4), tmp_path, "a cat")
    moving, folder = session.files
    assert (moving.num_frames, folder.num_frames) == (5, 4)
    assert read_infotext(moving.path) == "a cat, AnimateDiff note: interrupted after 5 frames"


def test_a_clip_that_was_stopped_before_gets_its_frames_in_between(tmp_path):
    session = build_session(batch_size=4, interp="FILM", interp_x=3)
    session.is_stopped = lambda: True
    session.stop()
    with replaced_network(FakeNetwork()):
        (written,) = session.write(clip(4), tmp_path, "")
    assert written.num_frames == 12


class FakeNetwork:
    """Repeats frames."""

    def __call__(self, store, factor, models):
        yield from (store.read(index // factor) for index in range((len(store) - 1) * factor))


@contextmanager
def replaced_network(network):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(methods.METHODS, "FILM", methods.Method(lambda models: None, network))
        yield


def test_write_leaves_frames_to_a_host_that_saves_them(tmp_path):
    session = build_session(format=["APNG", "PNG", "Frame"], video_length=4, batch_size=6)
    written = session.write(clip(6), tmp_path, "", saves_frames=False)
    assert [each.format for each in written] == ["APNG"]


def test_a_clip_that_was_stopped_while_sampling_is_written_whole(tmp_path):
    session = build_session(batch_size=6)
    session.stop()
    (written,) = session.write(clip(6), tmp_path, "")
    assert written.num_frames == 6


def test_a_stop_while_frames_are_made_writes_those_that_are_there_and_says_so(tmp_path):
    session = build_session(batch_size=6)

    def frames():
        for index, each in enumerate(clip(6)):
            if index == 2:
                session.stop()
            yield each

    with pytest.raises(WritingStoppedError, match="Stopped after 3 of 6 frames"):
        session.write(frames(), tmp_path, "a cat")
    (written,) = session.files
    assert (written.num_frames, len(read_frames(written.path))) == (3, 3)
    assert read_infotext(written.path) == "a cat, AnimateDiff note: interrupted after 3 frames"
