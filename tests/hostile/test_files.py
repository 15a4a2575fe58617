"""Files that are not what they should be, wherever a file is asked for: one sentence, and exit code 2."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from animatediff_webui.core.errors import UserError
from motion_module.__main__ import main as inspect_main
from standalone.command_line import main
from tests.hostile import child
from tests.hostile.budget import rounds
from tests.hostile.checkpoints import DAMAGES, damaged
from tests.hostile.conftest import SMALL, finals
from tests.hostile.refusals import check_sentence
from tests.hostile.weights import MARKER, write_bombs, write_damaged

HARMLESS = {("inspect", "lora_4d.safetensors"), ("inspect", "lora_odd.safetensors")}
"""Their keys and shapes are those of a LoRA, if not of one for this checkpoint."""


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory, module_file) -> list[Path]:
    folder = tmp_path_factory.mktemp("bad")
    files = write_damaged(folder, module_file)
    for name in ("pipe.safetensors", "pipe.ckpt"):
        os.mkfifo(folder / name)
    (folder / "folder.safetensors").mkdir()
    paths = [Path("/dev/zero"), Path("/dev/null"), *(folder / ("n" * length) for length in (10, 300, 5000))]
    return [*files, *sorted(folder.glob("pipe*")), folder / "folder.safetensors", *paths]


@pytest.fixture(scope="module")
def uses(models, public_folder):
    """Where a file is asked for, each as a child's work."""
    output = public_folder / "out"
    output.mkdir(exist_ok=True)
    output.chmod(0o777)
    checkpoint, module = models[:2], models[2:4]
    small = [*SMALL, "--steps", "1", "--quiet", "--output", str(output)]

    def command(*options: str):
        return lambda path: lambda: main([*options, str(path)])

    return {
        "inspect": lambda path: lambda: inspect_main(["inspect", str(path)]),
        "module": command("a", *checkpoint, *small, "--model"),
        "lora": command("a", *checkpoint, *module, *small, "--lora"),
        "vae": command("a", *checkpoint, *module, *small, "--vae"),
        "checkpoint": command("a", *module, *small, "--checkpoint"),
        "plan": command("plan", "a", *module, "--output", str(output), "--checkpoint"),
    }


def check_refusal(ending: child.Ending, what: object) -> None:
    assert (ending.status, ending.out) == (2, ""), (what, ending)
    assert len(ending.said) == 1, (what, ending)
    check_sentence(ending.said[0])


@pytest.mark.slow
def test_damaged_files_are_refused_wherever_they_are_given(uses, bad_files, request, record_property):
    """All of them where there is time, else some, others for each file."""
    pairs = [(use, path) for path in bad_files for use in uses if (use, path.name) not in HARMLESS]
    Random(14).shuffle(pairs)
    for index in rounds(request.config, 0.1, len(pairs)):
        use, path = pairs[index]
        check_refusal(child.run(uses[use](path), 30), (use, path.name))
    record_property("damaged files", f"{index + 1} of {len(pairs)} refused")


@pytest.mark.slow
def test_pickles_are_not_run(uses, tmp_path, request, record_property):
    marker = tmp_path / MARKER
    (tmp_path / "bombs").mkdir()
    bombs = write_bombs(tmp_path / "bombs", marker)
    pairs = [(use, path) for path in bombs for use in uses]
    Random(14).shuffle(pairs)
    for index in rounds(request.config, 0.03, len(pairs)):
        use, path = pairs[index]
        check_refusal(child.run(uses[use](path), 30), (use, path.name))
        assert not marker.exists(), (use, path.name)
    record_property("pickles", f"{index + 1} of {len(pairs)} refused, none was run")


@pytest.mark.slow
def test_damaged_folders_are_refused(uses, models, tmp_path, request, record_property):
    names = list(DAMAGES)
    Random(14).shuffle(names)
    for index in rounds(request.config, 0.05, len(names)):
        folder = damaged(Path(models[1]), tmp_path, names[index])
        ending = child.run(uses["checkpoint"](folder), 30)
        if names[index] != "unknown class":  # which class it is, its parts say
            check_refusal(ending, names[index])
        planned = child.run(uses["plan"](folder), 30)  # which reads no weights
        if planned.status != 0:
            check_refusal(planned, names[index])
        assert not (tmp_path / MARKER).exists(), names[index]
    record_property("damaged folders", f"{index + 1} of {len(names)} refused")


@pytest.mark.parametrize("use", ["module", "vae", "checkpoint", "plan", "lora", "inspect"])
@pytest.mark.parametrize("name", ["pipe.safetensors", "recursive.ckpt", "mm_nan.safetensors"])
def test_what_hung_or_passed_in_silence_is_refused(name, use, uses, bad_files):
    (path,) = (path for path in bad_files if path.name == name)
    check_refusal(child.run(uses[use](path), 30), (use, name))


def as_nobody(work: Callable[[], int]) -> Callable[[], int]:
    def call() -> int:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        return work()

    return call


def test_a_file_that_may_not_be_read_is_refused_first(uses, public_folder, module_file):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    path = public_folder / "secret.safetensors"
    path.write_bytes(module_file.read_bytes())
    path.chmod(0o600)
    for written in (public_folder / "out").rglob("*"):  # by tests before this one
        written.chmod(0o777)
    for use, prepare in uses.items():
        ending = child.run(as_nobody(prepare(path)), 30)
        assert "secret.safetensors" in ending.err, (use, ending)
        assert ending.status == 2, (use, ending)
        assert len(ending.said) == 1, (use, ending)


def test_a_checkpoint_whose_picture_is_no_number_is_named_by_its_usual_cause(models, tmp_path):
    from safetensors.torch import load_file, save_file

    from standalone import Animator

    folder = damaged(Path(models[1]), tmp_path, "no scheduler")
    (folder / "scheduler").mkdir()
    config = "scheduler/scheduler_config.json"
    (folder / config).write_bytes((Path(models[1]) / config).read_bytes())
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_in.bias"][:] = float("nan")
    save_file(weights, path)
    animator = Animator(checkpoint=folder, motion_module=models[3])
    with pytest.raises(UserError, match="not finite") as refused:
        animator.generate("a", steps=1, video_length=2, batch_size=2)
    check_sentence(str(refused.value))
    assert finals(tmp_path / "outputs") == []
