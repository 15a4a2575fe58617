from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from motion_module import (
    BrokenMotionModuleError,
    MotionModuleError,
    NotAMotionLoraError,
    Site,
    build_motion_lora,
    build_motion_module,
    injected,
    load_motion_lora,
    motion_loras,
    peft_state_dict,
    unmatched_layers,
)
from motion_module.lora.unets import unet_loras
from tests.fingerprints.published import domain_adapter, motion_lora
from tests.motion_module.ldm_unet import SD15
from tests.motion_module.samples import (
    V2,
    V3,
    assert_same,
    diffusers_names,
    fingerprint_of,
    ldm_unet,
    module_of,
    random_tensors,
    relative_error,
    unet_inputs,
    weights_of,
)

RANK = 4
LINEAR = "down_blocks.1.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.1.to_q"
SITE = Site("down_blocks", 1, 0)


def official(seed=3):
    return random_tensors(motion_lora(RANK, SD15.widths), seed)


def peft(tensors):
    """diffusers' PEFT names."""
    return {
        f"unet.{diffusers_names(key)}".replace(".processor.", ".")
        .replace("to_out_lora", "to_out.0_lora")
        .replace("_lora.down.", ".lora_A.")
        .replace("_lora.up.", ".lora_B."): tensor
        for key, tensor in tensors.items()
    }


def flattened(tensors):
    """The WebUI's re-releases; half the alpha and twice the up weights are the same LoRA."""
    flat = {}
    for key, tensor in tensors.items():
        layer, role = key.removesuffix(".weight").replace(".processor.", ".").rsplit("_lora.", 1)
        name = "lora_unet_" + layer.replace("to_out", "to_out.0").replace(".", "_")
        flat[f"{name}.lora_{role}.weight"] = 2 * tensor if role == "up" else tensor
        flat[f"{name}.alpha"] = torch.tensor(RANK / 2)
    return flat


NAMINGS = {
    "official": lambda tensors: tensors,
    "module. prefix": lambda tensors: {f"module.{key}": tensor for key, tensor in tensors.items()},
    "diffusers": lambda tensors: {f"unet.{diffusers_names(key)}": tensor for key, tensor in tensors.items()},
    "diffusers lora.down": lambda tensors: {
        f"unet.{diffusers_names(key)}".replace(".processor.", ".").replace("_lora.", ".lora."): tensor
        for key, tensor in tensors.items()
    },
    "PEFT": peft,
    "PEFT with the adapter's name": lambda tensors: {
        f"base_model.model.{key.removeprefix('unet.')}".replace(".weight", ".default.weight"): tensor
        for key, tensor in peft(tensors).items()
    },
    "flattened": flattened,
    "flattened with to_out": lambda tensors: {
        key.replace("_to_out_0.", "_to_out."): tensor for key, tensor in flattened(tensors).items()
    },
}


@pytest.mark.parametrize("rename", NAMINGS.values(), ids=NAMINGS.keys())
def test_lora_in_any_naming_is_the_official_one(tmp_path, rename):
    save_file(rename(official()), tmp_path / "v2_lora_PanLeft.safetensors")
    lora = load_motion_lora(tmp_path / "v2_lora_PanLeft.safetensors")
    expected = build_motion_lora(official())
    assert (lora.name, lora.kind) == ("v2_lora_PanLeft", "motion LoRA")
    assert lora.temporal.keys() == expected.temporal.keys()
    for layer, delta in lora.temporal.items():
        same = expected.temporal[layer]
        assert relative_error(delta.scale * delta.up @ delta.down, same.up @ same.down) <= 1e-6


def test_pickled_official_file_in_a_state_dict_loads(tmp_path):
    torch.save({"state_dict": official(), "epoch": 1}, tmp_path / "v2_lora_PanLeft.ckpt")
    assert len(load_motion_lora(tmp_path / "v2_lora_PanLeft.ckpt").temporal) == 20 * 8


def run(module, hidden, num_frames=3):
    with module.frames(num_frames):
        return module.layers()[SITE](hidden)


def hidden_states(rows=6):
    return torch.randn(rows, 64, 3, 3, generator=torch.Generator().manual_seed(5))


def module_with_added(*loras):
    """The module with strength * up @ down added to its weights for good."""
    weights = weights_of(V2)
    for tensors, strength in loras:
        for layer, delta in build_motion_lora(tensors).temporal.items():
            weights[f"{layer}.weight"] += strength * delta.up @ delta.down
    return build_motion_module(weights)


@pytest.mark.parametrize("strength", [1, 0.4, -1.0, torch.tensor(0.7)])
def test_lora_adds_strength_times_up_times_down(strength):
    module, hidden = module_of(V2), hidden_states()
    with motion_loras(module, [(build_motion_lora(official()), strength)]):
        found = run(module, hidden)
    assert relative_error(found, run(module_with_added((official(), float(strength))), hidden)) <= 1e-5
    assert relative_error(found, run(module, hidden)) > 1e-3


def test_loras_at_once_and_nested_add_up():
    module, hidden = module_of(V2), hidden_states()
    pan, zoom, tilt = (build_motion_lora(official(seed)) for seed in (3, 4, 5))
    with motion_loras(module, [(pan, 0.5), (zoom, -0.25)]), motion_loras(module, [(tilt, [0.75] * 3)]):
        found = run(module, hidden)
    expected = module_with_added((official(3), 0.5), (official(4), -0.25), (official(5), 0.75))
    assert relative_error(found, run(expected, hidden)) <= 1e-5


@pytest.mark.parametrize("as_what", [list, tuple, torch.tensor], ids=["list", "tuple", "tensor"])
def test_strength_of_one_value_a_frame_acts_on_each_frames_own_tokens(as_what):
    module, lora = module_of(V2), build_motion_lora(official())
    strengths, delta = [0.0, 0.5, -1.0], build_motion_lora(official()).temporal[LINEAR]
    tokens = torch.randn(3, 7, 64)
    linear = module.get_submodule(LINEAR)
    plain = linear(tokens)
    with motion_loras(module, [(lora, as_what(strengths))]), module.frames(3):
        found = linear(tokens)
    for frame, strength in enumerate(strengths):
        expected = plain[frame] + strength * tokens[frame] @ delta.down.T @ delta.up.T
        assert relative_error(found[frame], expected) <= 1e-5


def test_strengths_by_frame_reach_the_gated_projection():
    part = f"{SITE.name}.temporal_transformer.transformer_blocks.0.ff.net.0.proj"
    generator = torch.Generator().manual_seed(6)
    down, up = torch.randn(2, 64, generator=generator), torch.randn(512, 2, generator=generator)
    tensors = {f"{part}.lora_A.weight": down, f"{part}.lora_B.weight": up}
    module, hidden, lora = module_of(V2), hidden_states(), build_motion_lora(tensors)
    with motion_loras(module, [(lora, 0.5)]):
        expected = run(module, hidden)
    with motion_loras(module, [(lora, [0.5] * 3)]):
        assert relative_error(run(module, hidden), expected) <= 1e-5
    assert relative_error(run(module, hidden), expected) > 1e-3


def test_strengths_go_by_the_frames_of_the_window():
    module, lora, tokens = module_of(V2), build_motion_lora(official()), torch.randn(2, 7, 64)
    linear = module.get_submodule(LINEAR)
    with motion_loras(module, [(lora, [0.0, 0.1, 0.2, 0.3])]), module.frames(2, (3, 1)):
        window = linear(tokens)
    with motion_loras(module, [(lora, [0.3, 0.1])]), module.frames(2):
        assert linear(tokens).equal(window)


def test_frame_without_a_strength_is_refused():
    module, lora = module_of(V2), build_motion_lora(official())
    with (
        motion_loras(module, [(lora, [0.0, 1.0])]),
        pytest.raises(MotionModuleError, match="strengths for 2 frames, but frame 2"),
    ):
        run(module, hidden_states())


@pytest.mark.parametrize("failing", [False, True], ids=["success", "exception"])
def test_module_is_bit_identical_afterwards(failing):
    module, hidden = module_of(V2), hidden_states()
    before, output = fingerprint_of(module), run(module, hidden)
    lora, zoom = build_motion_lora(official()), build_motion_lora(official(4))
    try:
        with motion_loras(module, [(lora, 0.3), (zoom, [0.1, 0.2, 0.3])]), motion_loras(module, [(zoom, -2)]):
            run(module, hidden)
            if failing:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert_same(before, fingerprint_of(module))
    assert run(module, hidden).equal(output)


def test_loras_act_inside_an_injected_unet():
    unet, module, inputs = ldm_unet(), module_of(V2), unet_inputs(num_rows=4)
    with module.frames(4), injected(unet, module):
        plain = unet(**inputs)
        with motion_loras(module, [(build_motion_lora(official()), 1.0)]):
            assert relative_error(unet(**inputs), plain) > 1e-3
        assert unet(**inputs).equal(plain)


def test_half_precision_module_merges_in_full_precision():
    module, tensors = module_of(V2).to(torch.bfloat16), official()
    weight = module.get_submodule(LINEAR).weight.clone()
    delta = build_motion_lora(tensors).temporal[LINEAR]
    with motion_loras(module, [(build_motion_lora(tensors), 0.5)]):
        merged = module.get_submodule(LINEAR).weight
        assert merged.equal((weight.float() + 0.5 * delta.up @ delta.down).to(torch.bfloat16))


def test_lora_of_another_family_applies_what_matches_and_warns(caplog):
    tensors = official() | random_tensors(
        {
            "mid_block.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0."
            f"processor.to_q_lora.{role}.weight": shape
            for role, shape in (("down", (RANK, 64)), ("up", (64, RANK)))
        }
    )
    module, lora = module_of(V3), build_motion_lora(tensors, "PanLeft")
    assert unmatched_layers(module, lora) == [
        layer for layer in lora.temporal if layer.startswith("mid_block")
    ]
    with motion_loras(module, [(lora, 1.0)]):
        assert "PanLeft was made for another motion module than v3_sd15_mm: 1 of" in caplog.text


def test_lora_of_other_widths_is_refused_naming_both():
    lora = build_motion_lora(random_tensors(motion_lora(RANK, (32, 96, 96, 96))), "wide")
    with pytest.raises(MotionModuleError, match=r"wide takes down_blocks\.1\S+ from 96 to 96 .* 64 to 64"):
        motion_loras(module_of(V2), [(lora, 1.0)]).__enter__()


def test_domain_adapter_is_offered_to_the_host_under_diffusers_names():
    tensors = random_tensors(domain_adapter(RANK, SD15.widths, SD15.context_dim))
    adapter = build_motion_lora(tensors, "v3_sd15_adapter")
    assert (adapter.kind, len(adapter.temporal)) == ("UNet LoRA", 0)
    source = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    weights = peft_state_dict(adapter)
    assert len(weights) == len(tensors)
    assert weights[f"unet.{source}.to_out.0.lora_A.weight"].equal(
        tensors[f"{source}.processor.to_out_lora.down.weight"]
    )
    module = module_of(V3)
    before = fingerprint_of(module)
    with motion_loras(module, [(adapter, 1.0)]):
        assert_same(before, fingerprint_of(module))


class Quantised(nn.Module):
    """A linear layer whose weights are packed numbers, as hosts keep them to save memory."""

    def __init__(self, layer):
        super().__init__()
        self.weight = nn.Parameter(layer.weight.to(torch.uint8).reshape(-1, 1), requires_grad=False)
        self._linear = [layer]

    def forward(self, x):
        return self._linear[0](x)


def test_quantised_unet_is_animated_and_takes_a_domain_adapter():
    unet, module, inputs = ldm_unet(), module_of(V3), unet_inputs(num_rows=4)
    adapter = build_motion_lora(random_tensors(domain_adapter(RANK, SD15.widths, SD15.context_dim)))

    def animated():
        with module.frames(4), injected(unet, module), unet_loras(unet, [(adapter, 1.0)]):
            return unet(**inputs)

    expected = animated()
    for parent in list(unet.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear:
                setattr(parent, name, Quantised(layer))
    assert animated().equal(expected)
    wide = build_motion_lora(random_tensors(domain_adapter(RANK, (32, 96, 96, 96), SD15.context_dim)))
    with (
        pytest.raises(MotionModuleError, match="this checkpoint's is"),
        unet_loras(ldm_unet(), [(wide, 1.0)]),
    ):
        pass


def test_lora_with_spatial_keys_is_parted():
    spatial = random_tensors(domain_adapter(RANK, SD15.widths))
    text = {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.zeros(1, 1)}
    lora = build_motion_lora(flattened(official() | spatial) | text)
    assert lora.kind == "motion LoRA with a UNet part"
    assert (len(lora.temporal), len(lora.spatial)) == (20 * 8, 16 * 8)
    assert lora.others.keys() == text.keys()
    assert "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0" in lora.spatial


def test_half_a_pair_is_named():
    tensors = official()
    tensors.pop(next(key for key in tensors if key.endswith("up.weight")))
    with pytest.raises(BrokenMotionModuleError, match="PanLeft lacks the up weight of"):
        build_motion_lora(tensors, "PanLeft")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [(weights_of(V2), "not a LoRA but a motion module"), ({"weight": torch.zeros(1)}, "tried: official")],
    ids=["motion module", "unknown"],
)
def test_other_file_is_no_lora_and_is_named(tensors, message):
    with pytest.raises(NotAMotionLoraError, match=message):
        build_motion_lora(tensors, "file")
