"""ControlNets: each frame follows its own hint, as diffusers' pipeline has it, and whatever else goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AnimateDiffControlNetPipeline, ControlNetModel
from PIL import Image

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers.guides.preprocessors import load_preprocessor
from motion_module.errors import MotionModuleError
from standalone import Animator, ControlNet
from tests.hosts.diffusers.guides.networks import fresh_controlnet, write_controlnet_file
from tests.hosts.diffusers.peers import as_clip, as_rows, noise_of, parts_of
from tests.hosts.diffusers.stand_in import write_xl_checkpoint
from tests.hosts.diffusers.test_animator import fingerprint
from tests.media.clips import frame

FRAMES = 4
QUICK = {"seed": 1, "steps": 3, "sampler_name": "DDIM", "cfg_scale": 3.0}
SHORT = {**QUICK, "video_length": FRAMES, "batch_size": FRAMES}


def pictures(count: int = FRAMES) -> list[Image.Image]:
    return [frame(index, (64, 64)) for index in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("frames")
    for index, picture in enumerate(pictures()):
        picture.save(path / f"{index}.png")
    return path


@pytest.fixture(scope="module")
def network(animator) -> ControlNetModel:
    return fresh_controlnet(animator.pipeline.unet)


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("controlnet") / "edges"
    network.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def plain(animator):
    return animator.generate("a circle", **SHORT).latents


def peer_of(animator, controlnet) -> AnimateDiffControlNetPipeline:
    peer = AnimateDiffControlNetPipeline(**parts_of(animator), controlnet=controlnet, feature_extractor=None)
    peer.set_progress_bar_config(disable=True)
    return peer


def theirs(peer, hints, **settings) -> torch.Tensor:
    clip = peer(
        "a circle", num_frames=FRAMES, width=64, height=64, num_inference_steps=QUICK["steps"],
        guidance_scale=QUICK["cfg_scale"], latents=as_clip(noise_of(1, FRAMES)), conditioning_frames=hints,
        output_type="latent", **settings,
    ).frames  # fmt: skip
    return as_rows(clip)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_clip_under_a_controlnet_equals_diffusers_own_for_one_window(animator, network, saved, folder, plain):
    ours = animator.generate("a circle", controlnet=ControlNet(saved, 0.8, video=folder), **SHORT)
    close(ours.latents, theirs(peer_of(animator, network), pictures(), controlnet_conditioning_scale=0.8))
    assert not torch.allclose(ours.latents, plain, atol=1e-2)


def test_several_and_their_parts_of_sampling_equal_diffusers_own(animator, network, saved, folder, tmp_path):
    second = fresh_controlnet(animator.pipeline.unet, seed=5)
    second.save_pretrained(tmp_path / "second")
    ours = animator.generate(
        "a circle",
        controlnet=[
            ControlNet(saved, 0.5, 0, 0.7, video=folder),
            ControlNet(tmp_path / "second", image=frame(2)),
        ],
        **SHORT,
    )
    expected = theirs(
        peer_of(animator, [network, second]),
        [pictures(), [frame(2).resize((64, 64))] * FRAMES],
        controlnet_conditioning_scale=[0.5, 1.0], control_guidance_end=[0.7, 1.0],
    )  # fmt: skip
    close(ours.latents, expected)


def test_single_files_of_either_naming_are_read_as_the_folder_is(animator, network, saved, folder, tmp_path):
    original = write_controlnet_file(network, tmp_path / "original.safetensors")
    diffusers = next(saved.glob("*.safetensors"))
    expected = animator.generate("a circle", controlnet=ControlNet(saved, video=folder), **SHORT).latents
    for file in (original, diffusers):
        found = animator.generate("a circle", controlnet=ControlNet(file, video=folder), **SHORT).latents
        close(found, expected)


def test_single_file_without_attention_is_read_by_what_is_in_it(animator, folder, tmp_path):
    network = fresh_controlnet(
        animator.pipeline.unet, down_block_types=["DownBlock2D"] * 4, mid_block_type="UNetMidBlock2D"
    )
    network.save_pretrained(tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    found, expected = (
        animator.generate("a circle", controlnet=ControlNet(each, video=folder), **SHORT).latents
        for each in (file, tmp_path)
    )
    close(found, expected)


def test_source_is_what_controlnets_follow_unless_a_strength_is_given(animator, saved, folder):
    followed = animator.generate("a circle", controlnet=ControlNet(saved, video=folder), **SHORT)
    source = animator.generate("a circle", controlnet=saved, video_path=folder, **QUICK)
    assert torch.equal(source.latents, followed.latents)
    begun = animator.generate(
        "a circle", controlnet=saved, video_path=folder, denoising_strength=0.7, **QUICK
    )
    alone = animator.generate("a circle", video_path=folder, denoising_strength=0.7, **QUICK)
    assert begun.session.num_steps == 2
    assert not torch.allclose(begun.latents, alone.latents, atol=1e-2)
    assert not torch.allclose(begun.latents, followed.latents, atol=1e-2)


def test_weight_zero_and_steps_outside_change_no_bit(animator, saved, folder, plain):
    for control in (ControlNet(saved, 0, video=folder), ControlNet(saved, 1, 0.1, 0.2, video=folder)):
        assert torch.equal(animator.generate("a circle", controlnet=control, **SHORT).latents, plain)


def test_frames_of_windows_follow_their_own_hints(still_animator, saved, tmp_path):
    for index, picture in enumerate(pictures(8)):
        picture.save(tmp_path / f"{index}.png")
    long = {**QUICK, "batch_size": 3, "context_scheduler": "batched", "video_path": tmp_path}
    whole = still_animator.generate("a circle", controlnet=saved, **long).latents
    Image.new("RGB", (64, 64), "white").save(tmp_path / "6.png")
    changed = still_animator.generate("a circle", controlnet=saved, **long).latents
    differs = [not torch.equal(left, right) for left, right in zip(whole, changed, strict=True)]
    assert differs == [False] * 6 + [True, False]


@pytest.mark.parametrize(
    "extras",
    [
        {"freeinit_enable": True, "freeinit_iters": 2},
        {"closed_loop": "Seamless"},
        {"freenoise": False, "cfg_scale": 1.0},
        {"sampler_name": "Heun"},
    ],
    ids=str,
)
def test_windows_loops_and_travel_go_with_it_and_nothing_is_left_behind(animator, saved, tmp_path, extras):
    for index, picture in enumerate(pictures(8)):
        picture.save(tmp_path / f"{index}.png")
    before = fingerprint(animator.pipeline.unet)
    asked = {**QUICK, "batch_size": 4, "video_path": tmp_path, **extras}
    clip = animator.generate("0: a\n5: b", controlnet=[f"{saved}:0.5", f"{saved}:0.5:0.3-1"], **asked)
    assert clip.latents.shape[0] == 8
    assert torch.isfinite(clip.latents).all()
    assert clip.session.windows_begun == clip.session.total_windows
    assert fingerprint(animator.pipeline.unet) == before


def test_shortest_video_says_how_many_frames_there_are(animator, saved, folder, tmp_path):
    for index, picture in enumerate(pictures(6)):
        picture.save(tmp_path / f"{index}.png")
    controls = [ControlNet(saved, video=folder), ControlNet(saved, video=tmp_path)]
    plan = animator.plan("a", controlnet=controls, video_start=1)
    assert plan.num_frames == FRAMES - 1
    assert any("the first 3 are used" in note for note in plan.notes)


def test_canny_draws_the_edges_of_what_it_is_given(animator, saved, tmp_path):
    square = np.zeros((64, 64, 3), np.uint8)
    square[16:48, 16:48] = 255
    image = Image.fromarray(square)
    edges = load_preprocessor("canny")(image)
    lit = np.array(edges.convert("L")) > 0
    assert 4 * 28 <= lit.sum() <= 4 * 34
    assert not lit[19:45, 19:45].any()
    asked = (ControlNet(saved, image=image, preprocessor="canny"), ControlNet(saved, image=edges))
    found, drawn = (animator.generate("a", controlnet=each, **SHORT).latents for each in asked)
    assert torch.equal(found, drawn)


def test_invert_turns_black_on_white_into_white_on_black():
    assert load_preprocessor("invert")(Image.new("RGB", (1, 1), (255, 0, 1))).getpixel((0, 0)) == (
        0,
        255,
        254,
    )


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            "raise RuntimeError('operator nms does not exist')",
            "cannot be imported .operator nms does not exist.",
        ),
        (
            "def Processor(name):\n    raise OSError('No connection.')",
            "cannot load lineart_realistic .No connection.: let it download the network's weights once",
        ),
        (
            "from PIL import ImageOps\ndef Processor(name):\n"
            "    return lambda image, to_pil: ImageOps.invert(image).convert('L').resize((8, 8))",
            None,
        ),
    ],
)
def test_preprocessor_of_another_package_works_or_says_what_it_lacks(module, words, tmp_path, monkeypatch):
    (tmp_path / "controlnet_aux").mkdir()
    (tmp_path / "controlnet_aux" / "__init__.py").touch()
    (tmp_path / "controlnet_aux" / "processor.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("controlnet_aux", "controlnet_aux.processor"):
        monkeypatch.setitem(sys.modules, name, None)  # so that it is gone afterwards
        del sys.modules[name]
    if words is not None:
        with pytest.raises(UserError, match=words):
            load_preprocessor("lineart")
        return
    prepared = load_preprocessor("lineart")(Image.new("RGB", (64, 32), "white"))
    assert (prepared.mode, prepared.size, prepared.getpixel((0, 0))) == ("RGB", (64, 32), (0, 0, 0))


def test_network_that_pools_says_nothing_of_the_negative_prompt(animator, tmp_path):
    network = fresh_controlnet(animator.pipeline.unet, global_pool_conditions=True)
    network.save_pretrained(tmp_path)
    control = ControlNet(tmp_path, image=frame(0))
    guided, prompt_only = (
        animator.generate("a circle", controlnet=control, **{**SHORT, "cfg_scale": scale}).latents
        for scale in (3.0, 1.0)
    )
    assert torch.isfinite(guided).all()
    assert not torch.equal(guided, prompt_only)


def test_sdxl_has_controlnets_too(tmp_path, folder):
    checkpoint = write_xl_checkpoint(tmp_path / "xl")
    still = Animator(checkpoint=checkpoint, motion_module="none")
    network = fresh_controlnet(still.pipeline.unet)
    network.save_pretrained(tmp_path / "net")
    clip, plain = (
        still.generate("0: a\n2: b", controlnet=control, **SHORT).latents
        for control in (ControlNet(tmp_path / "net", video=folder), None)
    )
    assert torch.isfinite(clip).all()
    assert not torch.allclose(clip, plain, atol=1e-2)


def test_names_alone_are_looked_up_beside_the_checkpoint(animator, saved, folder, tmp_path):
    from animatediff_webui.hosts.diffusers.animator import Animator as AnyAnimator

    (tmp_path / "controlnet").mkdir()
    (tmp_path / "controlnet" / "edges").symlink_to(saved)
    named = AnyAnimator(animator.options, network_folder=tmp_path)
    found = named.generate("a circle", controlnet="edges:0.8", video_path=folder, **QUICK)
    expected = animator.generate("a circle", controlnet=f"{saved}:0.8", video_path=folder, **QUICK)
    assert torch.equal(found.latents, expected.latents)
    with pytest.raises(UserError, match=r"no ControlNet lines with this checkpoint \(there are: edges\)"):
        named.generate("a circle", controlnet="lines", video_path=folder, **QUICK)


REFUSED = (
    ({"model": "none.safetensors"}, {}, "none.safetensors cannot be opened"),
    ({"model": ""}, {}, "must be a file, a folder or a name"),
    ({"weight": "a"}, {}, "weight is 'a', but must be a number"),
    ({"weight": 11}, {}, "weight is 11"),
    ({"start": 0.5, "end": 0.5}, {}, "which is never"),
    ({"preprocessor": "best"}, {}, "must be one of none, canny"),
    ({"preprocessor": "depth"}, {}, "pip install controlnet-aux"),
    ({"video": "none.mp4"}, {}, "none.mp4 is not an existing file"),
    ({"video": None}, {}, "has nothing to follow"),
    ({"image": "none.png"}, {}, "none.png is not an existing file"),
    ({"image": frame(0)}, {}, "follows one of them"),
    ({"video": "{empty}"}, {}, "holds no pictures"),
    ({"model": "{empty}"}, {}, "config.json is missing or damaged"),
    ({"model": "{checkpoint}/unet"}, {}, "holds a UNet2DConditionModel, but must hold a ControlNetModel"),
    ({"model": "{checkpoint}/unet/diffusion_pytorch_model.safetensors"}, {}, "is not a ControlNet but"),
    ({}, {"video_start": 9}, "none is left from frame 9"),
    ({}, {"mask_path": "{mask}"}, "nothing that stays outside"),
)  # fmt: skip


@pytest.mark.parametrize(("asked", "settings", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_cannot_be_is_one_sentence_before_anything_is_sampled(
    asked, settings, words, animator, checkpoint, saved, folder, tmp_path
):
    places = {"empty": tmp_path, "checkpoint": checkpoint, "mask": folder / "0.png"}

    def filled(values):
        return {key: each.format(**places) if isinstance(each, str) else each for key, each in values.items()}

    def on_window(*_arguments):
        raise AssertionError("sampled")

    def run():
        control = ControlNet(**{"model": saved, "video": folder, **filled(asked)})
        animator.generate("a", controlnet=control, on_window=on_window, **QUICK, **filled(settings))

    with pytest.raises((UserError, MotionModuleError), match=words) as refused:
        run()
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["net:a:b", "net:0.5:1", "net:0.5:0-x", ":0.5", " "])
def test_text_that_is_no_network_is_refused(text, animator):
    with pytest.raises(UserError, match="FILE:WEIGHT:START-END"):
        animator.generate("a", controlnet=text, **QUICK)


def test_networks_for_other_checkpoints_are_refused(animator, folder, tmp_path):
    still = Animator(checkpoint=write_xl_checkpoint(tmp_path / "xl"), motion_module="none")
    fresh_controlnet(still.pipeline.unet).save_pretrained(tmp_path / "net")
    (file,) = (tmp_path / "net").glob("*.safetensors")
    wide = ControlNetModel.from_config(
        {**fresh_controlnet(animator.pipeline.unet).config, "block_out_channels": (64,) * 4}
    )
    write_controlnet_file(wide, tmp_path / "wide.safetensors")
    for model, words in (
        (tmp_path / "net", "was made for another checkpoint"),
        (file, "was made for SDXL, but the checkpoint is SD1.5"),
        (tmp_path / "wide.safetensors", "was made for another checkpoint"),
    ):
        with pytest.raises(UserError, match=words):
            animator.generate("a", controlnet=ControlNet(model, video=folder), **QUICK)


def test_stop_while_the_control_video_is_read_makes_nothing(animator, saved, folder):
    with pytest.raises(UserError, match="nothing was made"):
        animator.generate(
            "a", controlnet=saved, video_path=folder, on_start=lambda session: session.stop(), **QUICK
        )


def test_damaged_networks_are_one_sentence(animator, network, saved, folder, tmp_path):
    file = write_controlnet_file(network, tmp_path / "cut.safetensors")
    file.write_bytes(file.read_bytes()[:-1000])
    broken = tmp_path / "broken"
    network.save_pretrained(broken)
    (weights,) = broken.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    for model in (file, broken):
        with pytest.raises((UserError, MotionModuleError)) as refused:
            animator.generate("a", controlnet=ControlNet(model, video=folder), **QUICK)
        assert len(str(refused.value).splitlines()) == 1
