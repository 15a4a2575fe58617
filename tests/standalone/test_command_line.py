"""The command line as a user meets it: exit codes, sentences, files."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from animatediff_webui.core.parameters import FIELDS
from animatediff_webui.media import read_frames, read_infotext
from motion_module.errors import MotionModuleError
from standalone import animator
from standalone.command_line import main
from standalone.options import build_parser

ROOT = Path(__file__).resolve().parents[2]
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from standalone.command_line import main; "


@pytest.fixture
def models(checkpoint, module_file) -> list[str]:
    return ["--checkpoint", str(checkpoint), "--model", str(module_file), "--steps", "2", "--seed", "7"]


def written(folder: Path, suffix: str) -> Path:
    (path,) = folder.rglob(f"*{suffix}")
    return path


def test_options_hold_every_animation_parameter_but_those_of_the_page():
    actions = build_parser("generate")._actions
    flags = {flag for action in actions for flag in action.option_strings}
    expected = {"--" + field.name.replace("_", "-") for field in FIELDS}
    assert expected - flags == {"--enable", "--keyframes"}  # which are said one by one: --keyframe


def test_generate_writes_gif_and_mp4_and_says_what_they_hold(models, tmp_path, capsys):
    assert main(["a red circle", *models, "--output", str(tmp_path), "--video-length", "16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line.split("  ")[0]).suffix for line in lines] == [".gif", ".mp4"]
    assert all("16 frames, 64 x 64, 8 fps, 2.00 s, seed 7" in line for line in lines)
    assert len(list(read_frames(written(tmp_path, ".gif")))) == 16
    infotext = read_infotext(written(tmp_path, ".mp4"))
    assert infotext is not None
    assert infotext.startswith("a red circle\n")
    assert "Seed: 7" in infotext


def test_generate_with_fewer_frames_than_a_window_keeps_the_others_as_pngs(models, tmp_path):
    asked = ["--video-length", "4", "--batch-size", "6", "--format", "GIF"]
    assert main(["a circle", *models, *asked, "--output", str(tmp_path)]) == 0
    assert len(list(read_frames(written(tmp_path, ".gif")))) == 4
    assert len(list(tmp_path.rglob("*-beyond/*.png"))) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a circle", "--fps", "-1"], "fps is -1"),
        (["a circle", "--steps", "0"], "steps is 0"),
        (["a circle", "--sampler-name", "Best"], "must be one of: Euler"),
        (["a circle", "--width", "65"], "multiple of 8"),
        (["a circle", "--format", "DOC"], "must be a list of GIF"),
        (["a circle", "--video-source", "a.mp4"], "a.mp4 is not an existing file"),
        (["a circle", "--interp", "FILM"], "film_net_fp32.pt: name its folder by interp_models"),
        (["0: a\n99: b"], "past the last frame (15)"),
        (["a <lora:nowhere:1>"], "There is no LoRA nowhere"),
        ([" "], "The prompt is empty"),
    ],
)
def test_generate_with_a_users_mistake_says_so_and_exits_2(arguments, sentence, models, capsys):
    assert main([arguments[0], *models, *arguments[1:]]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert sentence in error


@pytest.mark.parametrize("option", ["--checkpoint", "--model", "--vae", "--lora"])
def test_generate_with_a_missing_file_names_it_and_exits_2(option, models, tmp_path, capsys):
    missing = str(tmp_path / "missing.safetensors")
    assert main(["a circle", *models, option, missing]) == 2
    assert missing in capsys.readouterr().err


def test_generate_with_an_unknown_option_exits_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["a circle", "--no-such-option"])
    assert stopped.value.code == 2


def test_generate_with_a_failure_of_ours_exits_1_and_verbose_shows_where(models, monkeypatch, capsys):
    def fail(*_args, **_keywords):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("animatediff_webui.hosts.diffusers.run.sample", fail)
    assert main(["a circle", *models]) == 1
    assert "this should not happen (ZeroDivisionError" in capsys.readouterr().err
    assert main(["a circle", *models, "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_plan_writes_a_table_and_a_picture_without_sampling(models, tmp_path, capsys):
    prompt = "0: a red circle\n20: a blue circle"
    assert main(["plan", prompt, *models, "--video-length", "40", "--output", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "40 generated" in table
    assert "20" in table
    assert (tmp_path / "plan.png").stat().st_size > 1000
    assert not list(tmp_path.rglob("*.gif"))


def test_plan_tells_of_networks_and_what_they_follow(models, tmp_path, capsys):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64)).save(frames / f"{number}.png")
    picture, networks = frames / "0.png", [f"{tmp_path}:0.5:0-0.25", str(tmp_path)]
    steered = [
        "--controlnet", networks[0], "--control-video", str(frames), "--preprocessor", "canny",
        "--sparsectrl", networks[1], "--keyframe", f"0={picture}", "--keyframe", f"2={picture}",
    ]  # fmt: skip
    assert main(["plan", "a", *models, *steered, "--output", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    assert "the control video (frames): 3 frames" in table
    assert f"{tmp_path.name}, weight 0.5, from 0 to 0.25 of sampling, follows frames by canny" in table
    assert f"SparseCtrl  {tmp_path.name}, weight 1, pictures of frames 0, 2" in table


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_interruption_that_a_library_takes_for_damage_is_said_as_what_it_is(models, monkeypatch, capsys):
    def load(*_arguments: object, **_options: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise MotionModuleError("mm.safetensors is damaged") from None

    monkeypatch.setattr(animator, "Animator", load)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["a circle", *models]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().err
    assert "Stopped" in said
    assert "damaged" not in said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_generate_interrupted_saves_the_clip_so_far_and_says_so(models, tmp_path):
    # Where the tests run in the background, Ctrl-C is ignored.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    command = [sys.executable, "-c", f"{heard} {START} sys.exit(main(sys.argv[1:]))", "a circle", *models]
    short = ["--steps", "1000", "--video-length", "4", "--batch-size", "4", "--output", str(tmp_path)]
    process = subprocess.Popen([*command, *short], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    seen = ""
    while "2/1000" not in seen and len(seen) < 100_000:
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert "Stopped at step" in rest
    assert len(list(read_frames(written(tmp_path, ".gif")))) == 4


def test_help_answers_without_loading_torch():
    code = f"{START} import atexit; atexit.register(lambda: print('torch' in sys.modules)); main(['--help'])"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--closed-loop" in done.stdout
    assert done.stdout.endswith("False\n")
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_a_preview_is_there_while_sampling_and_gone_afterwards(models, tmp_path, capsys, monkeypatch):
    shown = []
    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda path, **how: (shown.append(path.exists()), unlink(path, **how))[1]
    )
    asked = ["--steps", "4", "--preview-every", "2", "--format", "GIF", "--output", str(tmp_path)]
    assert main(["a circle", *models, *asked]) == 0
    assert "Preview while sampling" in capsys.readouterr().err
    assert any(shown)
    assert not (tmp_path / "preview.gif").exists()
