"""Ctrl-C, and what systems send in its place, at the moments that matter: what is there is kept, and said."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from animatediff_webui.media import read_frames, read_infotext
from animatediff_webui.session import Session
from tests.hostile import child
from tests.hostile.conftest import finals, leftovers

ASKED = ("--video-length", "8", "--batch-size", "8", "--closed-loop", "N", "--format", "GIF,WEBP,TXT")
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
Before = Callable[[], None]
IN_SHORT = [
    signal.SIGINT,
    *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGTERM, signal.SIGHUP)),
]
"""All of them; the quick tests send the first one alone."""


def press(number: int = signal.SIGINT, times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), number)


def before_frame(index: int, number: int = signal.SIGINT, times: int = 1) -> Before:
    """In the child, the signal comes before that frame is decoded."""

    def change() -> None:
        from animatediff_webui.hosts.diffusers import clip

        original = clip.decode_frames

        def decode(*args: object, **keywords: object) -> Iterator[object]:
            for place, frame in enumerate(original(*args, **keywords)):
                if place == index:
                    press(number, times)
                yield frame

        clip.decode_frames = decode

    return change


def before_window(index: int, times: int = 1) -> Before:
    def change() -> None:
        original = Session.before_window

        def listen(session: Session, step: int, done: int, total: int, denoised: object = None) -> None:
            original(session, step, done, total, denoised)
            if session.windows_begun == index and done < total:
                press(times=times)

        Session.before_window = listen

    return change


def before_frame_between(index: int, times: int) -> Before:
    """In the child, the signal comes before that frame is put in between."""

    def change() -> None:
        from animatediff_webui import session

        original = session.interpolate

        def interpolate(*args: object, **keywords: object) -> Iterator[object]:
            for place, frame in enumerate(original(*args, **keywords)):
                if place == index:
                    press(times=times)
                yield frame

        session.interpolate = interpolate

    return change


def in_the_gif(times: int) -> Before:
    def change() -> None:
        from animatediff_webui.media.writers import gif

        original, presses = gif.write, [times]

        def write(*args: object) -> None:
            if presses[0]:
                presses[0] -= 1
                press()
            original(*args)

        gif.write = write

    return change


def frames_in(folder, suffix: str) -> int:
    (path,) = (path for path in finals(folder) if path.suffix == suffix)
    return len(list(read_frames(path)))


@pytest.mark.parametrize("number", IN_SHORT, ids=lambda number: signal.Signals(number).name)
def test_while_frames_are_made_those_that_are_there_are_kept_and_counted(number, generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, *ASKED, before=before_frame(3, number)))
    assert ending.status == ENDS[number], ending
    kept = frames_in(tmp_path, ".gif")
    assert kept in (3, 4)
    assert kept == frames_in(tmp_path, ".webp")
    assert ending.out.count(f"  {kept} of 8 frames, ") == 3
    assert "Stopped while writing: the files hold the frames that were ready." in ending.err
    (gif,) = (path for path in finals(tmp_path) if path.suffix == ".gif")
    assert f"interrupted after {kept} frames" in (read_infotext(gif) or "")


def test_a_second_one_while_frames_are_made_keeps_them_too(generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, *ASKED, before=before_frame(3, times=2)))
    assert ending.status == 130, ending
    assert frames_in(tmp_path, ".gif") in (3, 4)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("times", [1, 3])
def test_while_frames_are_put_in_between_those_that_are_there_are_kept_and_no_others(
    times, generate, tmp_path
):
    asked = (
        "--video-length", "6", "--batch-size", "8", "--format", "GIF,PNG", "--interp", "Motion-compensated",
        "--interp-x", "3",
    )  # fmt: skip
    ending = child.run(generate("--output", tmp_path, *asked, before=before_frame_between(7, times)))
    assert ending.status == 130, ending
    assert frames_in(tmp_path, ".gif") in (7, 8)
    assert len([path for path in finals(tmp_path) if path.suffix == ".png"]) == 8
    assert leftovers(tmp_path) == []


def test_while_a_file_is_written_all_files_are_completed(generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, *ASKED, before=in_the_gif(1)))
    assert ending.status == 130, ending
    assert (frames_in(tmp_path, ".gif"), frames_in(tmp_path, ".webp")) == (8, 8)
    assert ending.out.count("  8 frames, ") == 3


def test_again_and_again_while_a_file_is_written_leaves_no_half_file(generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, *ASKED, before=in_the_gif(5)))
    assert ending.status == 130, ending
    assert leftovers(tmp_path) == []


def test_in_the_last_window_the_whole_clip_is_written_and_the_status_says_that_it_was_stopped(
    generate, tmp_path
):
    ending = child.run(generate("--output", tmp_path, *ASKED, before=before_window(2)))
    assert ending.status == 130, ending
    assert frames_in(tmp_path, ".gif") == 8


def test_in_a_window_the_clip_is_kept_as_far_as_it_is(generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, *ASKED, before=before_window(1)))
    assert ending.status == 130, ending
    assert "Stopped at step 1 of 2: saving the clip as far as it is." in ending.err
    assert frames_in(tmp_path, ".gif") == 8


def test_a_second_one_in_a_window_ends_the_run_at_once(generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, *ASKED, before=before_window(1, times=2)))
    assert ending.status == 130, ending
    assert ending.said[-1] == "Stopped; nothing was written."
    assert (finals(tmp_path), leftovers(tmp_path)) == ([], [])


def test_before_anything_is_sampled_one_is_enough(generate, tmp_path):
    def change() -> None:
        from animatediff_webui.hosts.diffusers import animator

        animator.load_motion = lambda options: press()

    ending = child.run(generate("--output", tmp_path, *ASKED, before=change))
    assert (ending.status, ending.said) == (130, ["Stopped; nothing was written."])


def test_a_signal_that_was_ignored_before_stays_ignored(generate, tmp_path):
    """As with nohup, or behind a shell's &."""

    def change() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        before_frame(3, signal.SIGHUP)()

    ending = child.run(generate("--output", tmp_path, *ASKED, before=change))
    assert ending.status == 0, ending
    assert frames_in(tmp_path, ".gif") == 8


def test_an_error_while_frames_are_made_keeps_those_that_are_there_and_is_said(generate, tmp_path):
    def change() -> None:
        from animatediff_webui.hosts.diffusers import clip

        original = clip.decode_frames

        def decode(*args: object, **keywords: object) -> Iterator[object]:
            for index, frame in enumerate(original(*args, **keywords)):
                if index == 3:
                    raise ZeroDivisionError("by chance")
                yield frame

        clip.decode_frames = decode

    ending = child.run(generate("--output", tmp_path, *ASKED, before=change))
    assert ending.status == 1, ending
    assert frames_in(tmp_path, ".gif") == 3
    assert ending.out.count("  3 of 8 frames, ") == 3
    assert "ZeroDivisionError: by chance" in ending.error
