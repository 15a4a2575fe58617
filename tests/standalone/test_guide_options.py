"""What steers a clip, as the command line says it: a network, and behind it what it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from animatediff_webui.media import read_infotext, write_animation
from standalone.command_line import main
from tests.hosts.diffusers.guides.networks import fresh_controlnet, fresh_sparsectrl, write_ip_adapter
from tests.media.clips import clip, frame

OPTIONS_OF_GUIDES = (
    "controlnet", "control_video", "control_image", "preprocessor", "sparsectrl", "keyframe",
    "ip_adapter", "ip_image", "image_encoder",
)  # fmt: skip
QUICK = ["--steps", "1", "--format", "GIF", "--quiet", "--video-length", "3", "--batch-size", "3"]


@pytest.fixture(scope="module")
def places(animator, checkpoint, module_file, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("guides")
    fresh_controlnet(animator.pipeline.unet).save_pretrained(folder / "net")
    fresh_sparsectrl(animator.pipeline.unet).save_pretrained(folder / "rgb")
    write_ip_adapter(animator.pipeline.unet, folder / "ip")
    frame(0, (64, 64)).save(folder / "picture.png")
    video = write_animation(clip(3, (64, 64)), folder / "clip", ["GIF"], fps=5)[0].path
    named = {
        "NET": folder / "net",
        "RGB": folder / "rgb",
        "IP": folder / "ip" / "ip-adapter.safetensors",
        "ENCODER": folder / "ip" / "image_encoder",
        "PICTURE": folder / "picture.png",
        "VIDEO": video,
    }
    return {
        **{name: str(path) for name, path in named.items()},
        "CHECKPOINT": str(checkpoint),
        "MODULE": str(module_file),
    }


def run(words: list[str], places: dict[str, str], output: Path) -> int:
    for place, path in places.items():
        words = [word.replace(place, path) for word in words]
    models = ["--checkpoint", places["CHECKPOINT"], "--model", places["MODULE"]]
    return main(["a circle", *models, *QUICK, *words, "--output", str(output)])


def infotext_in(folder: Path) -> str:
    (gif,) = folder.rglob("*.gif")
    return read_infotext(gif) or ""


def test_each_network_has_what_stands_behind_it(places, tmp_path):
    words = ["--controlnet", "NET:0.5:0.2-1", "--control-video", "VIDEO", "--preprocessor", "canny"]
    more = ["--controlnet", "NET", "--control-image", "PICTURE"]
    assert run([*words, *more], places, tmp_path) == 0
    infotext = infotext_in(tmp_path)
    assert (
        'ControlNet 0: "Module: canny, Model: net, Weight: 0.5, Guidance Start: 0.2, Guidance End: 1"'
        in infotext
    )
    assert (
        'ControlNet 1: "Module: none, Model: net, Weight: 1, Guidance Start: 0, Guidance End: 1"' in infotext
    )


def test_keyframes_belong_to_the_sparsectrl_before_them(places, tmp_path):
    words = ["--sparsectrl", "RGB:0.7", "--keyframe", "0=PICTURE", "--keyframe", "2=PICTURE"]
    more = [
        "--ip-adapter",
        "IP:0.6",
        "--ip-image",
        "PICTURE",
        "--ip-image",
        "PICTURE@2",
        "--image-encoder",
        "ENCODER",
    ]
    assert run([*words, *more], places, tmp_path) == 0
    assert 'IP-Adapter 0: "Model: ip-adapter, Weight: 0.6' in infotext_in(tmp_path)
    assert "Model: rgb, Weight: 0.7" in infotext_in(tmp_path)
    assert "Keyframes: 0 2" in infotext_in(tmp_path)


def test_controlnet_follows_the_source_and_the_clip_is_as_long_and_fast(places, tmp_path, capsys):
    assert run(["--controlnet", "NET", "--video-source", "VIDEO"], places, tmp_path) == 0
    assert "3 frames, 64 x 64, 5 fps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--controlnet", "NET:a:b", "--control-image", "PICTURE"], "must be FILE, FILE:WEIGHT or"),
        (["--controlnet", "NET"], "has nothing to follow"),
        (["--controlnet", "outline", "--control-image", "PICTURE"], "outline cannot be opened"),
        (["--controlnet", "PICTURE", "--control-image", "PICTURE"], "neither a safetensors nor a PyTorch"),
        (["--controlnet", "NET", "--control-video", "NET"], "holds no pictures"),
        (["--controlnet", "NET", "--control-image", "none.png"], "none.png is not an existing file"),
        (["--sparsectrl", "RGB"], "has no keyframes"),
        (["--sparsectrl", "RGB", "--keyframe", "0:PICTURE"], "must be FRAME=FILE"),
        (["--sparsectrl", "RGB", "--keyframe", "16=PICTURE"], "is past the last frame (2)"),
        (["--sparsectrl", "RGB", "--keyframe", "0=PICTURE", "--keyframe", "0=PICTURE"], "given twice"),
        (["--controlnet", "NET", "--control-video", "VIDEO", "--preprocessor", "x"], "one of none, canny"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_and_exit_2(words, sentence, places, tmp_path, capsys):
    assert run(words, places, tmp_path) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_what_stands_before_its_network_is_refused(places, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(["--preprocessor", "canny", "--controlnet", "NET"], places, tmp_path)
    assert stopped.value.code == 2
    assert "stands before any --controlnet" in capsys.readouterr().err
