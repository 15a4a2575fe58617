"""Where files are to go: what cannot be written is refused before sampling, the rest is written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from animatediff_webui.media import read_frames
from standalone.command_line import main
from tests.hostile import child
from tests.hostile.conftest import finals, leftovers

NOBODY = 65534
FORMATS = "GIF,MP4,WEBP,TXT"
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this to itself")


def check_refused(ending: child.Ending) -> None:
    """Before sampling: the bar has not moved."""
    assert ending.status == 2, ending
    assert len(ending.said) == 1, ending
    assert ending.error, ending
    assert "50%" not in ending.err, ending


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def become(user: int) -> Callable[[], None]:
    def change() -> None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)

    return change


IMPOSSIBLE = (
    "file",
    "file/below",
    "/dev/null",
    "/proc/nope",
    "x" * 300,
    "x" * 5000,
    "",
    " ",
    "s3://bucket/x",
)


@pytest.mark.parametrize("command", ["generate", "plan", "evaluate"])
def test_folders_that_cannot_be_are_refused_before_sampling(command, generate, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for folder in IMPOSSIBLE:
        if command == "evaluate":
            assert main(["evaluate", "--clips", "1", "--output", folder]) == 2
            assert len(capsys.readouterr().err.splitlines()) == 1
        else:
            check_refused(child.run(generate("--output", folder, command=command)))
    assert finals(tmp_path) == [tmp_path / "file"]


@pytest.mark.parametrize(
    "options", [("--fps", "100000"), ("--fps", "1e-300"), ("--format", "Frame"), ("--format", "TXT")]
)
def test_what_no_format_can_hold_is_refused_before_sampling(options, generate, tmp_path):
    check_refused(child.run(generate("--output", tmp_path, *options)))


@only_root
def test_a_folder_of_somebody_elses_is_refused_before_sampling(generate, tmp_path):
    (tmp_path / "mine").mkdir(mode=0o700)
    check_refused(child.run(generate("--output", tmp_path / "mine", before=become(NOBODY))))


@only_root
def test_a_read_only_disk_is_refused_before_sampling(generate, tmp_path):
    with mounted(tmp_path / "disk", "ro") as folder:
        for options in ((), ("--preview-every", "0")):
            check_refused(child.run(generate("--output", folder, *options)))


@only_root
@pytest.mark.slow
@pytest.mark.parametrize("size", ["16k", "64k", "200k", "1m"])
def test_of_a_full_disk_what_fits_is_kept_and_the_rest_is_said(size, generate, tmp_path):
    large = ("--video-length", "16", "--width", "128", "--height", "128", "--format", FORMATS)
    with mounted(tmp_path / "disk", f"size={size}") as folder:
        ending = child.run(generate("--output", folder, *large))
        if size == "16k":  # not even a frame
            check_refused(ending)
            return
        assert ending.status == 0, ending
        written = [path.suffix for path in finals(folder)]
        missing = [line for line in ending.said if "was not written" in line]
        assert len(written) + len(missing) == 4, ending
        assert ".txt" in written
        assert leftovers(folder) == []
        for path in finals(folder):
            if path.suffix in (".gif", ".mp4", ".webp"):
                assert len(list(read_frames(path))) == 16


def without_home() -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)
    become(54321)()


def with_variable(name: str, value: str) -> Callable[[], None]:
    return lambda: os.environ.update({name: value})


SURROUNDINGS = {
    "a user without a name or a home": without_home,
    "no place for temporary files": with_variable("TMPDIR", "/nope"),
    "a home that is none": with_variable("HOME", "/proc/nope"),
    "another language": with_variable("LC_ALL", "C"),
}


@only_root
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_what_is_missing_around_a_run_does_not_lose_its_clip(name, generate, public_folder):
    folder = public_folder / name
    folder.mkdir()
    folder.chmod(0o777)
    ending = child.run(generate("--output", folder, "--format", "GIF,MP4", before=SURROUNDINGS[name]))
    assert ending.status == 0, ending
    assert [path.suffix for path in finals(folder)] == [".gif", ".mp4"]


@pytest.mark.parametrize("name", ["it's", 'a "b"', "%03d", "file:x", "a\nb", "é 😀", "-dash", "a;b&c|d"])
def test_folders_of_any_name_are_written_to(name, generate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ending = child.run(generate(f"--output={name}", "--format", "GIF,MP4"))
    assert ending.status == 0, ending
    assert [path.suffix for path in finals(tmp_path / name)] == [".gif", ".mp4"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height"), [(16, 16), (24, 40), (512, 64), (64, 512)], ids=lambda side: str(side)
)
def test_any_size_that_is_allowed_is_drawn(width, height, generate, tmp_path):
    ending = child.run(
        generate("--output", tmp_path, "--format", "GIF", "--width", width, "--height", height)
    )
    assert ending.status == 0, ending
    (path,) = finals(tmp_path)
    assert read_frames(path).size == (width, height)


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["word " * 4000, "," * 20_000, "x" * 20_000, "😀" * 2000, "a\0b\x1b[31m"])
def test_any_prompt_is_drawn(prompt, generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, "--format", "GIF", prompt=prompt))
    assert ending.status == 0, ending
    assert len(finals(tmp_path)) == 1
