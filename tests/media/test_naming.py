"""Names that never clash and never leave the output folder."""

from __future__ import annotations

import os
import re
import string
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from animatediff_webui.media import MediaError, reserved_stem
from animatediff_webui.media.naming import check_output

DAY = date(2024, 2, 9)
ALLOWED = string.ascii_letters + string.digits + "._-"


def number(stem: Path) -> int:
    return int(stem.name.split("-")[0])


def test_first_name_of_a_day(tmp_path):
    with reserved_stem(tmp_path, 42, "job.1", day=DAY) as stem:
        assert stem == tmp_path / "AnimateDiff" / "2024-02-09" / "00001-42-job.1"
    with reserved_stem(tmp_path, 42, day=DAY) as stem:
        assert stem.name == "00001-42"


def test_sequence_goes_on_after_the_highest_file_and_beyond_five_digits(tmp_path):
    with reserved_stem(tmp_path, 1, day=DAY) as stem:
        (stem.parent / "99999-5-x.mp4").touch()
        (stem.parent / "notes.txt").touch()
    with reserved_stem(tmp_path, 1, day=DAY) as stem:
        assert stem.name == "100000-1"


def test_nothing_is_left_behind_even_when_the_block_fails(tmp_path):
    with pytest.raises(RuntimeError), reserved_stem(tmp_path, 1, day=DAY) as stem:
        raise RuntimeError
    assert list(stem.parent.iterdir()) == []


@given(st.text(ALLOWED, max_size=64), st.integers(-(2**63), 2**63))
@example("..", 1)
def test_any_allowed_request_id_stays_in_the_folder(request_id, seed):
    with TemporaryDirectory() as folder, reserved_stem(Path(folder), seed, request_id, day=DAY) as stem:
        assert stem.parent == Path(folder, "AnimateDiff", "2024-02-09")
        assert stem.resolve().parent == stem.parent.resolve()
        assert re.fullmatch(r"00001--?\d+(-[A-Za-z0-9._-]+)?", stem.name)


@given(st.text(min_size=1).filter(lambda text: set(text) - set(ALLOWED)))
@example("../../etc/x")
@example("a\n")
@example("x" * 65)
def test_any_other_request_id_is_refused(request_id):
    with (
        TemporaryDirectory() as folder,
        pytest.raises(MediaError, match="request_id is"),
        reserved_stem(Path(folder), 1, request_id),
    ):
        pass


def test_threads_at_once_get_different_numbers(tmp_path):
    def take(index: int) -> int:
        with reserved_stem(tmp_path, index, day=DAY) as stem:
            stem.with_name(stem.name + ".gif").touch()
            return number(stem)

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(take, range(64))) == list(range(1, 65))


def test_processes_at_once_get_different_numbers(tmp_path):
    code = (
        "import sys; from pathlib import Path; from datetime import date\n"
        "from animatediff_webui.media.naming import reserved_stem\n"
        "for seed in range(40):\n"
        "    with reserved_stem(Path(sys.argv[1]), seed, day=date(2024, 2, 9)) as stem:\n"
        "        stem.with_name(stem.name + '.gif').open('x').close(); print(stem.name.split('-')[0])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = Path(__file__).parents[2]
    running = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    numbers = [line for process in running for line in process.communicate()[0].split()]
    assert len(numbers) == len(set(numbers)) == 120


def test_leftovers_of_runs_that_died_are_swept_and_those_of_living_ones_are_not(tmp_path):
    """The dead: killed while it held its number. The living: in this block, and in another process."""
    code = (
        "import os, signal, sys, time; from pathlib import Path; from datetime import date\n"
        "from animatediff_webui.media.naming import reserved_stem\n"
        "with reserved_stem(Path(sys.argv[1]), 1, day=date(2024, 2, 9)) as stem:\n"
        "    stem.with_name(f'.{stem.name}.gif.0123.part').touch()\n"
        "    stem.with_name(f'.{stem.name}.4567.part').mkdir()\n"
        "    print(stem, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = Path(__file__).parents[2]
    running = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        stems = [Path(process.stdout.readline().strip()) for process in running]
        running[0].kill()
        running[0].wait()
        for path in stems[0].parent.iterdir():
            os.utime(path, (0, 0))
        with reserved_stem(tmp_path, 2, day=DAY):
            names = sorted(path.name for path in stems[0].parent.iterdir())
        dead, living = (stem.name[:5] for stem in stems)
        assert not [name for name in names if name.startswith(f".{dead}-")]
        assert [name for name in names if name.startswith(f".{living}")] == [
            f".{living}-1.4567.part", f".{living}-1.gif.0123.part", f".{living}.claim",
        ]  # fmt: skip
    finally:
        for process in running:
            process.kill()


@pytest.mark.parametrize("place", ["file", "file/below", "long" * 100, "nul\0"])
def test_a_folder_that_cannot_be_written_to_is_refused_in_a_sentence(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match=r"Nothing can be written to .*: choose another output folder"):
        check_output(tmp_path / place)
