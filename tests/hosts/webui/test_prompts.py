from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from tests.hosts.webui.conftest import UNET, embedding


def contexts(webui, call=0, num_frames=4):
    """The prompt's rows of a call of the model."""
    return webui.model.calls[call].context[:num_frames]


def test_keyframes_get_their_prompts_and_what_is_between_a_blend(webui):
    webui.run({"prompt_blend": "linear"}, prompt="fine\n0: a cat\n2: a dog\nsharp")
    first, middle, last, held = contexts(webui)
    cat, dog = embedding("fine, a cat, sharp"), embedding("fine, a dog, sharp")
    assert torch.allclose(first, cat)
    assert torch.allclose(last, dog)
    assert torch.allclose(held, dog)
    assert torch.allclose(middle, (cat + dog) / 2, atol=1e-6)


def test_negative_prompt_travels_too(webui):
    webui.run({}, negative_prompt="0: fog\n2: rain")
    negative = webui.model.calls[0].context[4:]
    assert torch.allclose(negative[0], embedding("fog"))
    assert torch.allclose(negative[3], embedding("rain"))


def test_prompts_of_different_lengths_are_padded_by_the_empty_prompt(webui):
    long = "one two three four five six seven"
    webui.run({}, prompt=f"0: a cat\n2: {long}", negative_prompt=long)
    assert torch.allclose(contexts(webui)[0], torch.cat([embedding("a cat"), embedding("")]))
    assert torch.allclose(contexts(webui)[3], embedding(long))


def test_scheduled_prompts_change_at_their_step(webui):
    webui.run({}, prompt="0: a [cat:dog:0]\n2: a house")
    assert torch.allclose(contexts(webui, 0)[0], embedding("a cat"))
    assert torch.allclose(contexts(webui, 1)[0], embedding("a dog"))
    assert torch.allclose(contexts(webui, 1)[2], embedding("a house"))


def test_keyframes_may_have_different_numbers_of_parts(webui):
    p = webui.run({}, prompt="0: a cat\n3: a dog AND a house :0.5")
    rows = webui.model.calls[0].context
    assert len(rows) == 4 * 2 + 4
    parts = rows[:8].unflatten(0, (4, 2))  # frame by frame
    assert torch.allclose(parts[0, 0], embedding("a cat"))
    assert torch.allclose(parts[3, 1], embedding("a house"))
    assert [part.weight for part in p.c.batch[3]] == [1.0, 0.5]
    assert [part.weight for part in p.c.batch[0]] == [1.0, 0.0]


def test_styles_belong_to_every_keyframe(webui):
    webui.host.shared.prompt_styles.styles["oil"] = "oil painting"
    p = webui.run({}, prompt="0: a cat\n2: a dog", styles=["oil"])
    assert torch.allclose(contexts(webui)[0], embedding("a cat, oil painting"))
    assert p.processed.infotexts[0].startswith("0: a cat\n2: a dog, oil painting\n")


def test_text_that_another_extension_has_changed_is_what_counts(webui):
    class Dynamic:
        args_from = args_to = 0

        def process(self, p):
            p.all_prompts = ["0: a bird\n2: a fish"] * len(p.all_prompts)

    webui.runner.alwayson_scripts.append(Dynamic())
    webui.run({}, prompt="0: {a|b}\n2: c")
    assert torch.allclose(contexts(webui)[0], embedding("a bird"))


def test_hires_prompts_travel_and_come_back_for_the_infotext(webui):
    p = webui.run({}, enable_hr=True, prompt="0: a cat\n2: a dog", hr_prompt="0: a house\n2: a tree")
    assert torch.allclose(contexts(webui, 0)[0], embedding("a cat"))
    assert torch.allclose(contexts(webui, 2)[0], embedding("a house"))
    assert torch.allclose(contexts(webui, 2)[3], embedding("a tree"))
    assert p.all_hr_prompts == ["0: a house\n2: a tree"] * 4


def test_hires_without_a_prompt_of_its_own_uses_the_first_passes(webui):
    webui.run({}, enable_hr=True, prompt="0: a cat\n2: a dog")
    assert torch.equal(contexts(webui, 2)[3], embedding("a dog"))


def test_conditionings_the_host_caches_stay_the_hosts(webui):
    first = webui.samples({}, prompt="0: a cat\n2: a dog")
    assert torch.equal(webui.samples({}, prompt="0: a cat\n2: a dog"), first)


def write_motion_lora(path):
    torch.manual_seed(1)
    block = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0"
    prefix = f"{block}.attention_blocks.0.processor"
    width = UNET.widths[0]
    save_file({f"{prefix}.to_v_lora.down.weight": torch.randn(2, width) * 3,
               f"{prefix}.to_v_lora.up.weight": torch.randn(width, 2) * 3}, path)  # fmt: skip


def write_spatial_lora(path, style):
    torch.manual_seed(2)
    width, layer = UNET.widths[0], "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    down, up = torch.randn(2, width), torch.randn(width, 2)
    if style == "official":
        names = [f"{layer}.processor.to_q_lora.{part}.weight" for part in ("down", "up")]
    else:
        flat = f"lora_unet_{layer.replace('.', '_')}_to_q"
        names = [f"{flat}.lora_{part}.weight" for part in ("down", "up")]
    save_file(dict(zip(names, (down, up), strict=True)), path)


def test_motion_lora_acts_and_is_hidden_from_the_hosts_loader(webui):
    write_motion_lora(webui.loras / "pan.safetensors")
    plain = webui.samples({})
    assert not torch.allclose(webui.samples({}, prompt="a cat<lora:pan:1>"), plain, atol=1e-4)
    assert webui.host.extra_networks.activated[-1] == []
    assert torch.equal(webui.samples({}), plain)


def test_motion_lora_at_strength_nought_does_nothing(webui):
    write_motion_lora(webui.loras / "pan.safetensors")
    assert torch.allclose(webui.samples({}, prompt="a cat<lora:pan:0>"), webui.samples({}), atol=1e-5)


def test_domain_adapter_acts_on_the_unet(webui):
    write_spatial_lora(webui.loras / "adapter.safetensors", "official")
    assert not torch.allclose(webui.samples({}, prompt="a cat<lora:adapter:1>"), webui.samples({}), atol=1e-4)
    assert webui.host.extra_networks.activated[-2] == []


@pytest.mark.parametrize("name", ["style", "unknown"])
def test_other_loras_are_left_to_the_host(webui, name):
    write_spatial_lora(webui.loras / "style.safetensors", "host's")
    webui.run({}, prompt=f"a cat<lora:{name}:0.5>")
    assert webui.host.extra_networks.activated[-1] == [("lora", f"{name}:0.5")]


def test_motion_lora_on_keyframes_changes_over_the_frames(webui):
    write_motion_lora(webui.loras / "pan.safetensors")
    plain = webui.samples({})
    travelling = webui.samples({}, prompt="0: a cat <lora:pan:1>\n3: a cat <lora:pan:0>")
    assert not torch.allclose(travelling, plain, atol=1e-4)
    assert webui.host.extra_networks.activated[-1] == []


def test_hosts_lora_on_a_keyframe_applies_to_the_whole_clip_and_says_so(webui):
    p = webui.run({}, prompt="0: a cat\n2: a dog <lora:style:1>")
    assert webui.host.extra_networks.activated[-1] == [("lora", "style:1")]
    assert "applies to the whole clip" in p.processed.comments


def test_strength_that_is_no_number_is_refused(webui):
    write_motion_lora(webui.loras / "pan.safetensors")
    with pytest.raises(webui.host.api.AnimateDiffError, match="strength 'x'"):
        webui.run({}, prompt="a cat <lora:pan:x>")
