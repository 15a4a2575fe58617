"""LoRAs by option, by tag and by keyframe; all of them gone afterwards."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.prompt_travel import parse_prompt_travel
from animatediff_webui.hosts.diffusers.loras import ChosenLora, parse_lora_option, take_tags
from standalone import Animator

SETTINGS = {"seed": 1, "steps": 2, "video_length": 4, "batch_size": 4}


def low_rank(layer: str, width: int, names: tuple[str, str]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    down, up = torch.randn(2, width, generator=generator), torch.randn(width, 2, generator=generator)
    return {f"{layer}{names[0]}.weight": down, f"{layer}{names[1]}.weight": up}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A motion LoRA and a domain adapter by official names, and an ordinary LoRA by the WebUI's."""
    place = tmp_path_factory.mktemp("loras")
    block = "up_blocks.2.motion_modules.1.temporal_transformer.transformer_blocks.0.attention_blocks.0"
    motion = low_rank(f"{block}.processor.to_q_lora.", 32, ("down", "up"))
    motion |= low_rank(f"{block}.processor.to_v_lora.", 32, ("down", "up"))
    save_file(motion, place / "pan.safetensors")
    spatial = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora."
    save_file(low_rank(spatial, 32, ("down", "up")), place / "adapter.safetensors")
    flat = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q."
    ordinary = low_rank(flat, 32, ("lora_down", "lora_up")) | {f"{flat}alpha": torch.tensor(2.0)}
    save_file(ordinary, place / "style.safetensors")
    return place


@pytest.fixture(scope="module")
def with_folder(checkpoint, module_file, folder) -> Animator:
    return Animator(checkpoint=checkpoint, motion_module=module_file, lora_folders=[folder])


@pytest.mark.parametrize("name", ["pan", "adapter", "style"])
def test_a_tag_acts_with_its_strength_and_is_gone_afterwards(name, with_folder):
    plain = with_folder.generate("a circle", **SETTINGS)
    half = with_folder.generate(f"a circle <lora:{name}:0.5>", **SETTINGS)
    whole = with_folder.generate(f"a circle <lora:{name}:1>", **SETTINGS)
    none = with_folder.generate(f"a circle <lora:{name}:0>", **SETTINGS)
    assert not torch.equal(half.latents, plain.latents)
    assert not torch.equal(half.latents, whole.latents)
    torch.testing.assert_close(none.latents, plain.latents, atol=1e-2, rtol=0)
    assert torch.equal(with_folder.generate("a circle", **SETTINGS).latents, plain.latents)


def test_an_option_does_what_the_tag_does(with_folder, checkpoint, module_file, folder):
    chosen = ChosenLora(folder / "pan.safetensors", 0.5)
    by_option = Animator(checkpoint=checkpoint, motion_module=module_file, loras=[chosen])
    tagged = with_folder.generate("a circle <lora:pan:0.5>", **SETTINGS)
    assert torch.equal(by_option.generate("a circle", **SETTINGS).latents, tagged.latents)


def test_keyframe_tags_of_a_motion_lora_change_strength_by_frame(with_folder):
    clip = with_folder.generate("0: a circle <lora:pan:1>\n3: a circle", **SETTINGS)
    plain = with_folder.generate("a circle", **SETTINGS)
    assert not torch.equal(clip.latents, plain.latents)
    assert not clip.notes


def test_keyframe_tags_of_a_picture_lora_are_said_to_act_on_the_whole_clip(with_folder):
    clip = with_folder.generate("0: a circle <lora:style:0.7>\n3: a circle", **SETTINGS)
    assert any("whole clip, at strength 0.7" in note for note in clip.notes)


def test_a_motion_lora_without_a_motion_module_is_said_to_do_nothing(checkpoint, folder):
    animator = Animator(checkpoint=checkpoint, motion_module="none", lora_folders=[folder])
    assert any("does nothing" in note for note in animator.generate("a <lora:pan:1>", **SETTINGS).notes)


def test_take_tags_removes_them_and_keeps_the_prompt(folder):
    track, chosen = take_tags(parse_prompt_travel("a <lora:pan:0.5>, b <lora:style>", 4), [folder])
    assert track.prompts == ("a, b",)
    assert [(each.path.stem, each.strength) for each in chosen] == [("pan", 0.5), ("style", 1.0)]


@pytest.mark.parametrize("text", ["a <lora:nowhere:1>", "a <lora:pan:much>"])
def test_take_tags_refuses_unknown_names_and_strengths(text, folder):
    with pytest.raises(UserError, match=r"nowhere|much"):
        take_tags(parse_prompt_travel(text, 4), [folder])


def test_parse_lora_option_reads_file_and_strength(folder):
    path = folder / "pan.safetensors"
    assert parse_lora_option(f"{path}:-0.5") == ChosenLora(path, -0.5)
    assert parse_lora_option(str(path)) == ChosenLora(path, 1.0)
