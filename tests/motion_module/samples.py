"""Small motion modules, LoRAs and UNets with random weights, in the published formats."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motion_module import FrameValues, MotionModule, Picture, build_motion_module
from tests.fingerprints.published import MOTION_MODULES, Published, Shapes
from tests.motion_module.ldm_unet import SD15, SDXL, LdmConfig, UNetModel

TINY_WIDTHS = {4: SD15.widths, 3: SDXL.widths}
BY_FILE = {published.file_name: published for published in MOTION_MODULES}
V1, V2, V3 = BY_FILE["mm_sd_v15"], BY_FILE["mm_sd_v15_v2"], BY_FILE["v3_sd15_mm"]
HOTSHOT, ANIMATEDIFF_SDXL = BY_FILE["hsxl_temporal_layers"], BY_FILE["mm_sdxl_v10_beta"]


def tiny_widths(published: Published) -> tuple[int, ...]:
    return TINY_WIDTHS[len(published.widths)]


def random_tensors(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """Weights of the size that trained ones have, so that nothing vanishes or saturates."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        is_norm_weight = len(shape) == 1 and key.endswith(".weight")
        tensors[key] = (
            1 + 0.1 * noise if is_norm_weight else noise * (shape[-1] ** -0.5 if len(shape) == 2 else 0.1)
        )
    return tensors


def weights_of(published: Published, seed: int = 0) -> dict[str, Tensor]:
    return random_tensors(published.shapes(tiny_widths(published)), seed)


def module_of(published: Published, seed: int = 0) -> MotionModule:
    return build_motion_module(weights_of(published, seed), published.file_name)


def ldm_unet(config: LdmConfig = SD15, seed: int = 1) -> UNetModel:
    torch.manual_seed(seed)
    return UNetModel(config).eval().requires_grad_(False)


def unet_inputs(config: LdmConfig = SD15, num_rows: int = 6, seed: int = 2) -> dict[str, Tensor]:
    """Arguments of an ldm UNet; every row its own."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {
        "x": torch.randn(num_rows, 4, 16, 8, generator=generator),
        "timesteps": torch.randint(0, 1000, (num_rows,), generator=generator),
        "context": torch.randn(num_rows, 5, config.context_dim, generator=generator),
    }
    if config.adm_in_channels:
        inputs["y"] = torch.randn(num_rows, config.adm_in_channels, generator=generator)
    return inputs


def picture(height: int = 16, width: int = 8, affinity: tuple[float, ...] = (1.0,)) -> Picture:
    """What a clip shows; each frame is as alike to it as `affinity` says."""
    latents = torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(5))
    return Picture(latents, FrameValues(torch.tensor(affinity)[:, None, None]))


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected.double()).abs().max() / expected.double().abs().max()).item()


def fingerprint_of(unet: nn.Module) -> dict[str, object]:
    """All that a change would show in: weights by identity and value, submodules, hooks, attributes."""
    state: dict[str, object] = {key: (id(t), t.data_ptr(), t.clone()) for key, t in unet.state_dict().items()}
    for name, module in unet.named_modules():
        state[f"{name}()"] = (
            id(module),
            type(module),
            tuple(module._forward_hooks.values()),
            tuple(module._forward_pre_hooks.values()),
            sorted(vars(module)),
            vars(module).get("forward"),
        )
    return state


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    assert before.keys() == after.keys()
    for key, value in before.items():
        if isinstance(value[-1], Tensor):
            assert value[-1].equal(after[key][-1]), key
        else:
            assert value == after[key], key


def diffusers_names(key: str) -> str:
    """An official key as diffusers has it."""
    key = key.replace(".temporal_transformer", "")
    return key.replace("attention_blocks.0", "attn1").replace("attention_blocks.1", "attn2")
