"""Standard streams that are closed, full, or speak another language: the clip is there all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import child
from tests.hostile.conftest import finals

ROOT = Path(__file__).resolve().parents[2]
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from standalone.command_line import main; "


def into(number: int, target: str):
    """Let a stream of the child go to a device, or nowhere at all."""

    def change() -> None:
        if not target:
            os.close(number)
            setattr(sys, {0: "stdin", 1: "stdout", 2: "stderr"}[number], None)
            return
        if target == "|":
            reader, writer = os.pipe()
            os.close(reader)
        else:
            writer = os.open(target, os.O_WRONLY)
        os.dup2(writer, number)

    return change


def ascii_only() -> None:
    sys.stdout = open(1, "w", encoding="ascii", closefd=False)  # noqa: SIM115 (as long as the process)
    sys.stderr = open(2, "w", encoding="ascii", closefd=False)  # noqa: SIM115


BROKEN = {
    "output without a reader": into(1, "|"),
    "output to a full disk": into(1, "/dev/full"),
    "errors to a full disk": into(2, "/dev/full"),
    "output closed": into(1, ""),
    "errors closed": into(2, ""),
    "input closed": into(0, ""),
    "nothing but ASCII": ascii_only,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_clip_is_written_whatever_the_streams_are(name, generate, tmp_path):
    folder = tmp_path / "ünï 😀"
    ending = child.run(generate("--output", folder, "--format", "GIF", before=BROKEN[name]))
    assert ending.status == 0, ending
    assert len(finals(folder)) == 1


def test_a_folder_of_bytes_that_are_no_text_is_written_to(generate, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff")
    ending = child.run(generate("--output", folder, "--format", "GIF", before=ascii_only))
    assert ending.status == 0, ending
    assert len(finals(Path(folder))) == 1


@pytest.mark.parametrize("prompt", ["a circle \udcff", "-"])
def test_a_prompt_that_is_none_is_refused_in_one_sentence(prompt, generate, tmp_path):
    ending = child.run(generate("--output", tmp_path, prompt=prompt, before=into(0, "")))
    assert ending.status == 2, ending
    assert len(ending.said) == 1


def test_an_input_of_bytes_that_are_no_text_is_refused(tmp_path):
    command = [sys.executable, "-c", f"{START} sys.exit(main(['-']))"]
    done = subprocess.run(command, input=b"a \xff\xfe circle", capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: ")
    assert not done.stdout


@pytest.mark.parametrize("target", ["/dev/full", "|"])
def test_the_interpreter_ends_without_a_word_where_nobody_listens(target, tmp_path):
    """Python itself writes what is left when it ends."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(target if target != "|" else writer, "wb") as output:
        command = [sys.executable, "-c", f"{START} sys.exit(main(['plan', '--help']))"]
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
