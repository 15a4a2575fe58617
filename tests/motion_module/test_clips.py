"""Clips of other frames in one batch: each is as it is alone, whatever changes from frame to frame."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch

from motion_module import (
    FrameValues,
    MotionControl,
    MotionModuleError,
    View,
    build_motion_lora,
    injected,
    motion_loras,
    pieces,
    video_group_norms,
)
from tests.fingerprints.published import motion_lora
from tests.motion_module.samples import (
    BY_FILE,
    V1,
    V2,
    ldm_unet,
    module_of,
    picture,
    random_tensors,
    relative_error,
    unet_inputs,
)

CLIPS = ((0, 3, 1), (4, 2, 5))
NUM_FRAMES = 6
BY_FRAME = FrameValues(torch.linspace(0, 2, NUM_FRAMES)[:, None, None])
BY_PLACE = FrameValues(torch.rand(NUM_FRAMES, 5, 4, generator=torch.Generator().manual_seed(1)) * 2)
VIEWS = (View((0, 1), (1.0, 0.5)), View((1, 2), (0.5, 1.0)))
SHOWN = picture(affinity=(1.0, 0.8, 0.6, 0.4, 0.2, 0.0))


def run(module, control, rows, indices, loras=()):
    """A whole UNet over these rows of the inputs."""
    unet, inputs = ldm_unet(), unet_inputs(num_rows=12)
    with ExitStack() as stack:
        stack.enter_context(motion_loras(module, loras))
        stack.enter_context(injected(unet, module))
        stack.enter_context(video_group_norms(unet, module))
        stack.enter_context(module.frames(3, indices, control))
        stack.enter_context(torch.no_grad())
        return unet(**{name: value[rows] for name, value in inputs.items()})


@pytest.mark.parametrize("piece", [20_000, 10**9])
@pytest.mark.parametrize(
    ("published", "control"),
    [
        (V1, MotionControl()),
        (V2, MotionControl(scale=BY_FRAME, effect=BY_PLACE)),
        (V2, MotionControl(scale=BY_PLACE, effect=BY_FRAME, views=VIEWS)),
        (BY_FILE["pia"], MotionControl(effect=BY_FRAME, picture=SHOWN)),
    ],
    ids=["norms of clips", "scale and effect", "views", "picture"],
)
def test_each_clip_of_a_batch_is_as_alone(published, control, piece, monkeypatch):
    monkeypatch.setattr(pieces, "CPU_SIZES", (piece,))
    module = module_of(published)
    strengths = torch.linspace(-1, 1, NUM_FRAMES)
    loras = [(build_motion_lora(random_tensors(motion_lora(2, module.spec.widths), 3)), strengths)]
    together = run(module, control, slice(None), CLIPS[0] + CLIPS[1], loras)
    for number, rows in enumerate(together.split(3)):
        alone = run(module, control, slice(3 * number, 3 * number + 3), CLIPS[number % 2], loras)
        assert relative_error(rows, alone) <= 1e-4


def test_batch_that_is_not_all_of_the_clips_is_refused():
    module = module_of(V1)
    with pytest.raises(MotionModuleError, match="9 rows is not a whole number of clips of 6 frames"):
        run(module, MotionControl(), slice(0, 9), CLIPS[0] + CLIPS[1])


def test_indices_of_half_a_clip_are_refused():
    module = module_of(V1)
    with (
        pytest.raises(MotionModuleError, match="5 frame indices were given for 3 frames"),
        module.frames(3, range(5)),
    ):
        pass
