"""CameraCtrl: rays, encoder and merging as the published formula has them, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from motion_module import (
    BrokenMotionModuleError,
    Cameras,
    IncompatibleBaseModelError,
    MotionControl,
    MotionModuleError,
    NotAMotionModuleError,
    View,
    build_camera_ctrl,
    build_motion_module,
    camera_merged,
    injected,
    load_camera_ctrl,
)
from motion_module.__main__ import main
from tests.fingerprints.published import camera_ctrl
from tests.motion_module.ldm_unet import SD15
from tests.motion_module.oracle import add_motion
from tests.motion_module.samples import (
    ANIMATEDIFF_SDXL,
    V3,
    assert_same,
    fingerprint_of,
    ldm_unet,
    module_of,
    random_tensors,
    relative_error,
    unet_inputs,
    weights_of,
)

FRAMES = 3
PARTS = camera_ctrl(SD15.widths)
WEIGHTS = {key: value for part in PARTS.values() for key, value in random_tensors(part, seed=4).items()}


def camera():
    return build_camera_ctrl(WEIGHTS, "CameraCtrl")


def cameras(num_frames=FRAMES):
    """They turn about the upright axis and go to the right and ahead, from anywhere."""
    poses = torch.zeros(num_frames, 4, 4, dtype=torch.float64)
    for frame in range(num_frames):
        angle = 0.4 + 0.1 * frame
        poses[frame] = torch.eye(4)
        poses[frame, 0, 0], poses[frame, 0, 2] = math.cos(angle), math.sin(angle)
        poses[frame, 2, 0], poses[frame, 2, 2] = -math.sin(angle), math.cos(angle)
        poses[frame, :3, 3] = torch.tensor([-0.3 * frame, 0.2, 0.5 * frame - 1])
    return Cameras(poses, torch.tensor([[0.5, 0.9, 0.5, 0.4]]).expand(num_frames, 4))


def ray(shown, frame, row, column, height, width):
    """One pixel's Plücker coordinates, written plainly: the lens in pixels of a 16:9 picture around it."""
    focal_x, focal_y, center_x, center_y = shown.lenses[frame].tolist()
    covered_width, covered_height = max(width, height * 16 / 9), max(height, width * 9 / 16)
    look = torch.tensor(
        [
            (column + 0.5 - center_x * width) / (focal_x * covered_width),
            (row + 0.5 - center_y * height) / (focal_y * covered_height),
            1.0,
        ],
        dtype=torch.float64,
    )
    to_world = shown.poses[0] @ torch.linalg.inv(shown.poses[frame])
    look = to_world[:3, :3] @ (look / look.norm())
    return torch.cat([torch.linalg.cross(to_world[:3, 3], look), look])


def encoded(weights, rays):
    """The published encoder, written plainly; features `f c h w` by level."""
    weights = {key: value.double() for key, value in weights.items()}

    def convolved(name, hidden, padding=0):
        return F.conv2d(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    hidden = convolved("encoder_conv_in", F.pixel_unshuffle(rays.double(), 8), 1)
    levels = []
    for level in range(4):
        hidden = F.avg_pool2d(hidden, 2) if level else hidden
        for number in range(2):
            name = f"encoder_down_conv_blocks.{level}.{number}"
            if f"{name}.in_conv.weight" in weights:
                hidden = convolved(f"{name}.in_conv", hidden)
            middle = convolved(f"{name}.block1", hidden, 1).clamp_min(0)
            hidden = hidden + convolved(f"{name}.block2", middle)
            hidden = over_frames(weights, f"encoder_down_attention_blocks.{level}.{number}", hidden)
        levels.append(hidden)
    return levels


def over_frames(weights, name, hidden):
    """A temporal block of one attention over the frames of each place of `f c h w`."""
    parts = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(name)}
    (c, height, width), tokens = hidden.shape[1:], hidden.permute(2, 3, 0, 1).flatten(0, 1)
    normed = F.layer_norm(tokens, (c,), parts["norms.0.weight"], parts["norms.0.bias"])
    tokens = tokens + attention(parts, "attention_blocks.0", normed)
    normed = F.layer_norm(tokens, (c,), parts["ff_norm.weight"], parts["ff_norm.bias"])
    value, gate = F.linear(normed, parts["ff.net.0.proj.weight"], parts["ff.net.0.proj.bias"]).chunk(2, -1)
    fed = F.linear(value * F.gelu(gate), parts["ff.net.2.weight"], parts["ff.net.2.bias"])
    return (tokens + fed).unflatten(0, (height, width)).permute(2, 3, 0, 1)


def attention(parts, name, normed):
    tokens = normed + parts[f"{name}.pos_encoder.pe"][0, : normed.shape[1]]
    query, key, value = (
        (tokens @ parts[f"{name}.{to}.weight"].T).unflatten(-1, (8, -1)).transpose(1, 2)
        for to in ("to_q", "to_k", "to_v")
    )
    heads = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    return F.linear(heads, parts[f"{name}.to_out.0.weight"], parts[f"{name}.to_out.0.bias"])


@pytest.mark.parametrize("size", [(16, 24), (24, 16), (18, 32)])
def test_rays_are_plucker_coordinates_seen_from_the_first_camera(size):
    shown = cameras()
    rays = shown.rays(*size, torch.device("cpu"))
    for frame, row, column in ((0, 0, 0), (1, size[0] - 1, 3), (2, 5, size[1] - 1)):
        expected = ray(shown, frame, row, column, *size)
        assert torch.allclose(rays[frame, :, row, column].double(), expected, atol=1e-5)
    assert rays[0, :3].abs().max() <= 1e-6
    moved = Cameras(shown.poses @ cameras().poses[2], shown.lenses)
    assert torch.allclose(moved.rays(*size, torch.device("cpu")), rays, atol=1e-5)


def test_encoder_gives_what_the_published_network_gives():
    rays = cameras().rays(128, 64, torch.device("cpu"))
    control = camera()
    with control.runtime.frames(FRAMES, tuple(range(FRAMES)), MotionControl()):
        found = control.encoder(rays)
    for level, expected in zip(found, encoded(WEIGHTS, rays), strict=True):
        assert relative_error(level, expected) <= 1e-4


def test_features_are_merged_into_the_first_attention_of_each_layer_that_goes_down_or_up():
    """Beside layers that are told by hand: h, with its position, becomes merge(h + feature) + h."""
    weights, unet, inputs = weights_of(V3), ldm_unet(), unet_inputs()
    levels = encoded(WEIGHTS, cameras().rays(128, 64, torch.device("cpu")))
    module, control = module_of(V3), camera()
    by_hand = build_motion_module(weights, "v3")
    for site, layer in by_hand.layers().items():
        level = site.level if site.block == "down_blocks" else 3 - site.level
        tell_by_hand(layer, f"{site.name}.temporal_transformer", levels[level])
    with injected(unet, by_hand), by_hand.frames(FRAMES):
        expected = unet(**inputs)
    before = fingerprint_of(unet)
    with (
        injected(unet, module),
        camera_merged(module, control),
        module.frames(FRAMES, control=MotionControl(cameras=cameras())),
    ):
        found = unet(**inputs)
    assert relative_error(found, expected) <= 1e-4
    assert_same(before, fingerprint_of(unet))
    with injected(unet, module), module.frames(FRAMES):
        plain = unet(**inputs)
    assert not torch.allclose(plain, found, atol=1e-3)
    with injected(unet, again := module_of(V3)), again.frames(FRAMES):
        assert unet(**inputs).equal(plain)


def tell_by_hand(layer, name, features):
    """Let the first attention's position encoding, which is added just before, merge the features, too."""
    attention = layer.temporal_transformer.transformer_blocks[0].attention_blocks[0]
    prefix = f"{name}.transformer_blocks.0.attention_blocks.0.processor.qkv_merge"
    weight, bias = WEIGHTS[f"{prefix}.weight"], WEIGHTS[f"{prefix}.bias"]
    told = features.float().flatten(2).permute(0, 2, 1)

    def merged(_module, _args, tokens):
        start = attention.runtime.rows.start
        rows = [(start + row) % told.shape[1] for row in range(tokens.shape[1])]
        return F.linear(tokens + told[:, rows], weight, bias) + tokens

    attention.pos_encoder.register_forward_hook(merged)


def test_windows_take_their_own_cameras_and_views_attend_apart():
    module, control, unet, inputs = module_of(V3), camera(), ldm_unet(), unet_inputs(num_rows=4)
    whole = MotionControl(cameras=cameras(20))
    with injected(unet, module), camera_merged(module, control):
        with module.frames(4, (5, 6, 7, 8), whole):
            window = unet(**inputs)
        part = Cameras(cameras(20).poses[5:9], cameras(20).lenses[5:9])
        with module.frames(4, control=MotionControl(cameras=part)):
            assert relative_error(unet(**inputs), window) <= 1e-5
        views = (View((0, 1), (1.0, 1.0)), View((2, 3), (1.0, 1.0)))
        with module.frames(4, (5, 6, 7, 8), MotionControl(cameras=cameras(20), views=views)):
            seen = unet(**inputs)
        with module.frames(4, (5, 6, 9, 9), MotionControl(cameras=cameras(20), views=views)):
            other = unet(**inputs)
    assert not torch.allclose(window, seen, atol=1e-4)
    assert not torch.allclose(seen[2:], other[2:], atol=1e-5)


def test_windows_in_one_call_are_told_of_their_own_cameras():
    module, control, unet, inputs = module_of(V3), camera(), ldm_unet(), unet_inputs(num_rows=6)
    whole, windows = MotionControl(cameras=cameras(9)), ((0, 1, 2), (5, 6, 7))
    apart = []
    with injected(unet, module), camera_merged(module, control):
        for number, frames in enumerate(windows):
            rows = {key: value[3 * number : 3 * number + 3] for key, value in inputs.items()}
            with module.frames(3, frames, whole):
                apart.append(unet(**rows))
        with module.frames(3, (*windows[0], *windows[1]), whole):
            together = unet(**inputs)
    assert relative_error(together, torch.cat(apart)) <= 1e-5


def test_more_frames_at_once_than_it_was_made_for_and_missing_cameras_are_refused():
    module, control, unet = module_of(V3), camera(), ldm_unet()
    with injected(unet, module), camera_merged(module, control):
        with (
            module.frames(17, control=MotionControl(cameras=cameras(17))),
            pytest.raises(MotionModuleError, match="CameraCtrl follows 1 to 16 frames at once, not 17"),
        ):
            unet(**unet_inputs(num_rows=17))
        with module.frames(3), pytest.raises(MotionModuleError, match="follows a camera, but there is none"):
            unet(**unet_inputs())
    with pytest.raises(MotionModuleError, match="cameras for 3 frames, but frame 3 is asked for"):
        cameras().of([2, 3])


def test_file_of_two_parts_is_loaded_and_inspected(tmp_path, capsys):
    parts = {name: {key: WEIGHTS[key] for key in shapes} for name, shapes in PARTS.items()}
    path = tmp_path / "CameraCtrl.ckpt"
    torch.save({"epoch": 3, "global_step": 5, **parts}, path)
    loaded = load_camera_ctrl(path, dtype=torch.bfloat16)
    assert loaded.state_dict()["encoder.encoder_conv_in.weight"].equal(
        WEIGHTS["encoder_conv_in.weight"].bfloat16()
    )
    assert (loaded.spec.widths, loaded.spec.max_context_length) == (SD15.widths, 16)
    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "CameraCtrl" in shown
    assert "it wants a motion module beside it, AnimateDiff v3, and a camera motion" in shown


def test_what_is_no_whole_camera_model_or_for_other_layers_is_refused(tmp_path):
    with pytest.raises(NotAMotionModuleError, match="not a motion module but CameraCtrl: choose it as the"):
        build_motion_module(WEIGHTS, "CameraCtrl")
    with pytest.raises(NotAMotionModuleError, match="v3 is not CameraCtrl but a motion module"):
        build_camera_ctrl(weights_of(V3), "v3")
    encoder = {key: value for key, value in WEIGHTS.items() if "qkv_merge" not in key}
    with pytest.raises(BrokenMotionModuleError, match=r"is CameraCtrl's, but 40 of its .* are missing"):
        build_camera_ctrl(encoder, "half")
    merges = {key: value for key, value in WEIGHTS.items() if "qkv_merge" in key}
    with pytest.raises(BrokenMotionModuleError, match="is CameraCtrl's, but has levels of no channels"):
        build_camera_ctrl(merges, "half")
    other = module_of(ANIMATEDIFF_SDXL)
    with (
        pytest.raises(
            IncompatibleBaseModelError, match=r"is for SD1.5 motion modules .*v10_beta is for SDXL"
        ),
        camera_merged(other, camera()),
    ):
        pass


def test_merging_into_one_layer_alone_equals_the_formula_with_a_plain_layer():
    """The plain layer of `oracle`, whose position encoding is the only thing that a zero merge leaves."""
    zero = {key: torch.zeros_like(value) if "qkv_merge" in key else value for key, value in WEIGHTS.items()}
    module, control = module_of(V3), build_camera_ctrl(zero)
    site, layer = next(iter(module.layers().items()))
    clip = torch.randn(FRAMES, SD15.widths[0], 2, 1)
    weights = weights_of(V3)
    prefix = f"{site.name}.temporal_transformer."
    parts = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    with camera_merged(module, control), module.frames(FRAMES, control=MotionControl(cameras=cameras())):
        assert relative_error(layer(clip), add_motion(parts, clip)) <= 1e-5
