"""Deep layers that are computed in some steps alone: what others do without, and what they give."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest
import torch
from torch import nn

from animatediff_webui.core.windows import Window
from animatediff_webui.deep_cache import DeepCache
from motion_module import injected
from motion_module.unets import describe_unet
from tests.motion_module.ldm_unet import SD15, SDXL
from tests.motion_module.samples import V3, ldm_unet, module_of, unet_inputs

FRAMES = 6
ALL = Window(tuple(range(FRAMES)), (1.0,) * FRAMES, 0)
HALVES = [Window((0, 1, 2), (1.0,) * 3, 0), Window((3, 4, 5), (1.0,) * 3, 1)]


@pytest.fixture(params=["ldm SD1.5", "ldm SDXL", "diffusers SD1.5"])
def subject(request):
    """A UNet and its call, with always the same inputs for each frame."""
    if request.param == "diffusers SD1.5":
        unet = request.getfixturevalue("animator").pipeline.unet
        prompts = torch.randn(FRAMES, 5, unet.config.cross_attention_dim)
        latents = torch.randn(FRAMES, 4, 8, 8)
        return unet, torch.inference_mode()(lambda: unet(latents, 10, prompts, return_dict=False)[0])
    config = SDXL if request.param == "ldm SDXL" else SD15
    unet, inputs = ldm_unet(config), unet_inputs(config, FRAMES)
    return unet, lambda: unet(**inputs)


def call(unet, inputs, rows):
    return unet(**{name: value[list(rows)] for name, value in inputs.items()})


@contextmanager
def counted(unet):
    """How often a layer inside each part of the UNet is computed."""
    counts = {"shallow": 0, "deep": 0}
    layout = describe_unet(unet)
    middle = layout.deep_layers[len(layout.deep_layers) // 2]
    deepest = next(layer for layer in middle.modules() if isinstance(layer, nn.Conv2d | nn.Linear))

    def count(name):
        counts[name] += 1

    with ExitStack() as hooks:
        for name, layer in {"shallow": layout.conv_in, "deep": deepest}.items():
            hook = layer.register_forward_hook(lambda *_, name=name: count(name))
            hooks.callback(hook.remove)
        yield counts


def test_deep_layers_are_computed_in_every_so_many_steps(subject):
    unet, predict = subject
    cache = DeepCache(3, FRAMES)
    with counted(unet) as counts, cache.used(unet):
        for step in range(7):
            cache.begin(ALL, step / 7, 1)
            predict()
    assert counts == {"shallow": 7, "deep": 3}
    assert not any("forward" in vars(layer) for layer in unet.modules())


def test_same_input_gives_the_same_with_kept_features(subject):
    unet, predict = subject
    plain, cache = predict(), DeepCache(2, FRAMES)
    with cache.used(unet):
        for step in range(4):
            cache.begin(ALL, step / 4, 1)
            assert predict().equal(plain)


def test_temporal_layers_of_deep_places_are_skipped_and_others_run():
    unet, module, cache = ldm_unet(), module_of(V3), DeepCache(2, FRAMES)
    ran = []
    for site, layer in module.layers().items():
        layer.temporal_transformer.norm.register_forward_hook(lambda *_, site=site: ran.append(site.name))
    inputs = unet_inputs(num_rows=FRAMES)
    with injected(unet, module), module.frames(FRAMES), cache.used(unet, [module]):
        for step in range(2):
            cache.begin(ALL, step / 2, 1)
            call(unet, inputs, range(FRAMES))
    every, shallow = ran[: len(module.layers())], ran[len(module.layers()) :]
    assert len(set(every)) == len(module.layers())
    assert {name.rsplit(".motion_modules")[0] for name in shallow} == {"down_blocks.0", "up_blocks.3"}


def test_features_are_kept_by_frame_while_windows_move():
    unet, cache, inputs = ldm_unet(), DeepCache(2, FRAMES), unet_inputs(num_rows=FRAMES)
    moved = [Window((5, 0), (1.0,) * 2, 0), Window((1, 2), (1.0,) * 2, 1), Window((3, 4), (1.0,) * 2, 2)]
    with counted(unet) as counts, cache.used(unet):
        for share, windows in ((0.0, HALVES), (0.5, moved)):
            predicted = torch.empty_like(inputs["x"])
            for window in windows:
                cache.begin(window, share, 1)
                predicted[list(window.frames)] = call(unet, inputs, window.frames)
    assert counts["deep"] == len(HALVES)
    torch.testing.assert_close(predicted, call(unet, inputs, range(FRAMES)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("calls", "computed"),
    [
        ([(0, 2), (0.5, 2), (0.0, 2), (0.5, 2)], [True, False, True, False]),  # another pass
        ([(0, 2), (0, 2), (0.5, 2), (0.5, 2)], [True, True, False, False]),  # two calls a step
        ([(0, 2), (0.2, 1), (0.4, 2), (0.6, 2)], [True, True, True, False]),  # without the negative prompt
    ],
)
def test_calls_of_another_kind_compute_all_of_it(calls, computed):
    unet, cache, inputs = ldm_unet(), DeepCache(2, FRAMES), unet_inputs(num_rows=FRAMES * 2)
    found = []
    with counted(unet) as counts, cache.used(unet):
        for share, num_groups in calls:
            before = counts["deep"]
            cache.begin(ALL, share, num_groups)
            call(unet, inputs, range(FRAMES * num_groups))
            found.append(counts["deep"] > before)
    assert found == computed


def test_interval_of_one_changes_nothing():
    unet, cache = ldm_unet(), DeepCache(1, FRAMES)
    with cache.used(unet):
        assert not any("forward" in vars(layer) for layer in unet.modules())


def test_layers_that_somebody_else_replaces_meanwhile_are_left_to_them():
    unet, cache = ldm_unet(), DeepCache(2, FRAMES)
    layer = describe_unet(unet).deep_layers[0]
    with cache.used(unet):
        theirs = layer.forward = lambda hidden, *_: hidden
    assert layer.forward is theirs
