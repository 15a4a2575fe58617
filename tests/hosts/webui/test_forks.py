"""Clips on Forge, reForge and Forge Classic, whose samplers call a model behind patchers."""

from __future__ import annotations

import hashlib

import pytest
import torch

from motion_module import BetaSchedule, alphas_cumprod
from tests.hosts.webui.conftest import TOKENS, UNET, embedding
from tests.hosts.webui.forks import ForgeCheckpoint, LdmPatchedCheckpoint

LINEAR = alphas_cumprod(BetaSchedule.LINEAR)
SIGMAS = ((1 - LINEAR) / LINEAR).sqrt()
LONG = "one two three four five six seven eight nine"


@pytest.fixture
def memory(webui):
    from backend import memory_management

    yield memory_management
    memory_management.current_loaded_models.clear()


@pytest.fixture(params=[ForgeCheckpoint, LdmPatchedCheckpoint])
def fork(request, webui, memory):
    webui.model = webui.host.shared.sd_model = request.param(UNET, embedding)
    return webui


def state_of(fork, memory):
    """Everything that a run borrows of a checkpoint, and of the host's memory."""
    model = fork.model
    weights = hashlib.sha256()
    for value in model.real.state_dict().values():
        weights.update(value.numpy().tobytes())
    hooks = sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.real.modules())
    structs = (model.forge_objects_original, model.forge_objects_after_applying_lora)
    patchers = [
        (id(each.unet), each.unet.model_options, each.unet.extra_model_patchers_during_sampling)
        for each in structs
    ]
    buffers = [id(value) for value in model.real.buffers()]
    schedule = id(getattr(model, "alphas_cumprod", None))
    loaded = [id(each.model.model) for each in memory.current_loaded_models]
    own = sorted(vars(model.real))
    return weights.hexdigest(), hooks, patchers, buffers, schedule, loaded, own, dict(fork.options)


def test_motion_module_makes_a_difference_and_leaves_none(fork, memory):
    plain = fork.samples()
    before = state_of(fork, memory)
    animated = fork.samples({})
    assert len(animated) == 4
    assert not torch.allclose(animated[0], plain[0], atol=1e-2)
    assert state_of(fork, memory) == before
    assert torch.equal(fork.samples(), plain)


def test_exception_while_sampling_puts_everything_back(fork, memory):
    fork.samples()
    before = state_of(fork, memory)
    hook = fork.model.real.diffusion_model.out[0].register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fork.run({})
    hook.remove()
    assert state_of(fork, memory) == before


def test_windows_are_whole_groups_and_patches_are_told_of_them(fork):
    fork.run({"video_length": 6, "context_scheduler": "standard static"})
    calls = fork.model.calls
    assert {call.rows for call in calls} == {8}
    for call in calls:
        assert call.options["cond_or_uncond"] == [1, 0]
        assert call.options["cond_mark"].tolist() == [1.0] * 4 + [0.0] * 4
        assert call.options["cond_indices"] == [4, 5, 6, 7]
        assert call.options["uncond_indices"] == [0, 1, 2, 3]
        assert len(call.options["sigmas"]) == 4


@pytest.mark.parametrize("prompt", ["0: a cat\n9: a dog", "a cat AND a dog :0.5"])
def test_windows_together_make_the_same_clip_with_fewer_calls(fork, prompt):
    asked = {"video_length": 10, "context_scheduler": "standard static", "motion_effect": "0: 1, 9: 0.5"}
    alone, rows = fork.samples({**asked, "window_batch": 1}, prompt=prompt), len(fork.model.calls[0].context)
    together = fork.samples({**asked, "window_batch": 2}, prompt=prompt)
    calls = [len(call.context) for call in fork.model.calls]
    assert calls == [2 * rows, rows] * (len(calls) // 2)
    assert all(len(call.options["cond_mark"]) == len(call.context) for call in fork.model.calls)
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=3e-3)


def test_parts_that_and_joins_are_clips_of_their_own(fork):
    fork.run({"video_length": 6}, prompt="a cat AND a dog :0.5")
    rows = fork.model.calls[0].context
    assert len(rows) == 12
    expected = [embedding(text) for text in ("", "a dog", "a cat")]
    assert torch.equal(rows[::4], torch.stack(expected))


def test_schedule_of_the_motion_module_is_the_samplers(fork):
    before = fork.model.real.state_dict()
    fork.run({})
    assert all(torch.allclose(call.sigmas, SIGMAS.float()) for call in fork.model.calls)
    after = fork.model.real.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_zero_terminal_snr_stays_on_top(fork):
    if not isinstance(fork.model, ForgeCheckpoint):
        pytest.skip("these hosts put it on by a function of their own")
    fork.options["sd_noise_schedule"] = "Zero Terminal SNR"
    fork.run({})
    assert torch.allclose(fork.model.calls[0].sigmas, 2 * SIGMAS.float())


@pytest.mark.parametrize("prompt", ["a cat", "a cat AND a dog", "0: a cat\n3: a dog"])
def test_without_guidance_no_negative_prompt_is_needed(fork, prompt):
    samples = fork.samples({}, prompt=prompt, negative_prompt="0: grey\n3: green", cfg_scale=1)
    assert len(samples) == 4


def test_prompt_travels(fork):
    fork.run({}, prompt=f"0: a cat\n3: {LONG}")
    context = fork.model.calls[0].context[4:]
    assert context.shape[1] == 2 * TOKENS
    assert torch.equal(context[0, :TOKENS], embedding("a cat"))
    assert torch.equal(context[3], embedding(LONG))
    steps = [(context[frame] - context[0]).norm() for frame in range(4)]
    assert steps == sorted(steps)
    assert steps[1] > 0


def test_memory_knows_the_motion_module_while_it_samples(fork, memory):
    seen = []

    def look(*_):
        seen.append([type(each.model.model).__name__ for each in memory.current_loaded_models])

    hook = fork.model.real.diffusion_model.out[0].register_forward_hook(look)
    fork.run({}, enable_hr=True)
    hook.remove()
    assert seen
    assert all(names.count("MotionModule") == 1 for names in seen)
    assert not [each for each in memory.current_loaded_models if not hasattr(each.model, "clone")]


def test_memory_is_reckoned_for_windows(fork):
    fork.run({"video_length": 8})
    assert set(fork.model.real.estimated_rows) == {8}


def test_with_little_memory_layers_come_one_by_one(fork, memory, monkeypatch):
    expected = fork.samples({})
    monkeypatch.setattr(memory, "vram_state", memory.VRAMState.LOW_VRAM)
    names = []
    hook = fork.model.real.diffusion_model.out[0].register_forward_hook(
        lambda *_: names.extend(type(each.model.model).__name__ for each in memory.current_loaded_models)
    )
    samples = fork.samples({})
    hook.remove()
    assert torch.equal(samples, expected)
    assert "MotionModule" not in names


def test_scripts_that_copy_the_unet_go_on_working(fork):
    plain = fork.samples({})

    def patch(unet):
        unet.model_options["sampler_post_cfg_function"] = [lambda denoised, *_: denoised * 0.5]
        unet.model_options["model_function_wrapper"] = lambda call, args: call(
            args["input"], args["timestep"], **args["c"]
        )

    p = fork.request({"video_length": 4})
    p._before_every_sampling = [patch]
    fork.host.processing.process_images(p)
    assert not torch.allclose(p.last_samples, plain)
    assert fork.model.forge_objects.unet.extra_model_patchers_during_sampling == []


class KeepingAttention:
    """Self-attention guidance, of which the attention is the middle block's queries."""

    def __init__(self, place=("middle", 0, 0)):
        self.kept, self.told, self.seen, self.place = None, None, [], place

    def attention(self, q, k, v, options):
        self.kept, self.told = q, options
        return torch.zeros_like(q)

    def guide(self, denoised, patcher, parts, uncond, x, sigma):
        self.seen.append((self.kept.clone(), x.clone(), self.told))
        return denoised * 0.9 + 0.1 * self.kept.unflatten(1, x.shape[2:])[: len(x)].permute(0, 3, 1, 2)

    def __call__(self, unet):
        options = {"patches_replace": {"attn1": {self.place: self.attention}}}
        unet.model_options["transformer_options"] = options
        unet.model_options["sampler_post_cfg_function"] = [self.guide]


@pytest.mark.parametrize("values", [{}, {"window_batch": 2}, {"closed_loop": "Seamless"}])
def test_script_that_keeps_a_calls_attention_gets_that_of_all_frames(fork, values):
    script = KeepingAttention()
    p = fork.request({"video_length": 6, **values})
    p._before_every_sampling = [script]
    fork.host.processing.process_images(p)
    assert script.seen
    for kept, x, told in script.seen:
        assert torch.equal(kept, torch.cat([x, x]).flatten(2).transpose(1, 2))
        assert (told["cond_or_uncond"], told["n_heads"]) == ([1, 0], 1)
        assert told["uncond_indices"] == list(range(6))
    assert not torch.equal(p.last_samples, fork.samples({"video_length": 6, **values}))


def test_attention_of_large_blocks_is_nobodys_to_gather(fork):
    script = KeepingAttention(("input", 1, 0))
    script.guide = lambda denoised, *_: denoised
    p = fork.request({"video_length": 6})
    p._before_every_sampling = [script]
    fork.host.processing.process_images(p)
    assert len(script.kept) == 8


def test_whole_control_signals_that_a_script_has_looked_at_are_taken_apart_for_windows(fork):
    class Control:
        def get_control(self, x_noisy, t, cond, batched_number):
            frames = torch.arange(len(x_noisy) // batched_number).float().repeat(batched_number)
            return {"middle": [frames.view(-1, 1, 1, 1)], "input": [torch.ones(1, 1, 1, 1)]}

    def patch(unet):
        unet.controlnet_linked_list = Control()
        unet.model_options["model_function_wrapper"] = lambda call, args: call(
            args["input"], args["timestep"], **args["c"]
        )

    p = fork.request({"video_length": 6, "context_scheduler": "standard static"})
    p._before_every_sampling = [patch]
    fork.host.processing.process_images(p)
    first, second = (call.control for call in fork.model.calls[:2])
    assert first["middle"][0].flatten().tolist() == [0, 1, 2, 3] * 2
    assert len(second["middle"][0]) == 8
    assert len(first["input"][0]) == 1


def test_motion_module_computes_in_the_unets_dtype(fork):
    real = fork.model.real
    if isinstance(fork.model, ForgeCheckpoint):
        real.computation_dtype = torch.bfloat16
    else:
        real.manual_cast_dtype, real.get_dtype = torch.bfloat16, lambda: torch.float8_e4m3fn
    fork.run({})
    module = fork.extension.modules.loaded("mm.safetensors")
    assert {each.dtype for each in module.parameters()} == {torch.bfloat16}


def test_dtype_that_is_for_storage_only_is_not_asked_for(fork, monkeypatch):
    monkeypatch.setattr(fork.host.request.devices, "dtype_unet", torch.float8_e4m3fn)
    assert len(fork.samples({})) == 4


def test_unet_of_another_kind_stops_the_run(fork):
    fork.model.real.diffusion_model = torch.nn.Linear(1, 1)
    with pytest.raises(fork.host.api.AnimateDiffError) as caught:
        fork.run({})
    assert caught.value.status_code == 422
    assert "SD1.5" in caught.value.sentence


def test_hires_fix_and_img2img(fork):
    from PIL import Image

    assert len(fork.samples({}, enable_hr=True)) == 4
    picture = Image.new("RGB", (64, 64), (200, 30, 60))
    assert len(fork.samples({}, is_img2img=True, init_images=[picture])) == 4


def test_guidance_follows_its_schedule(fork, memory):
    prompt = "a cat AND a dog :0.5"
    expected = fork.samples({}, cfg_scale=3.5, prompt=prompt)
    before = state_of(fork, memory)
    samples = fork.samples({"cfg_schedule": "0: 3.5"}, cfg_scale=7, prompt=prompt)
    assert torch.allclose(samples, expected, atol=1e-5)
    falling = fork.samples({"cfg_schedule": "0: 7, 1: 2"}, cfg_scale=7, prompt=prompt)
    assert not torch.allclose(falling, samples)
    assert state_of(fork, memory) == before
    assert len(fork.samples({"cfg_schedule": "0: 7"}, cfg_scale=1)) == 4


def test_windows_are_as_long_as_their_step_is_given(fork):
    before = len(fork.model.calls)
    fork.samples({"overlap": 0, "closed_loop": "N", "context_schedule": "0: 4 hold, 1: 2"})
    assert [call.rows for call in fork.model.calls[before:]] == [8, 4, 4]


def test_request_that_somebody_makes_while_ours_samples_is_not_guided(fork):
    def request_of_others(unet):
        if unet.model_options.get("conditioning_modifiers"):
            return
        other = fork.request([False])
        fork.runner.process_before_every_sampling(other)
        assert "conditioning_modifiers" not in fork.model.forge_objects.unet.model_options

    p = fork.request({"cfg_schedule": "0: 3.5"})
    p._before_every_sampling = [request_of_others]
    fork.host.processing.process_images(p)
