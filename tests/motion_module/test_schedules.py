from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from motion_module import BetaSchedule, alphas_cumprod, betas


@pytest.mark.parametrize(
    ("schedule", "name", "last"),
    [
        (BetaSchedule.LINEAR, "linear", 0.012),
        (BetaSchedule.SCALED_LINEAR, "scaled_linear", 0.012),
        (BetaSchedule.SCALED_LINEAR_SDXL, "scaled_linear", 0.020),
    ],
)
def test_schedule_equals_diffusers_of_the_same_name(schedule, name, last):
    peer = DDIMScheduler(beta_start=0.00085, beta_end=last, beta_schedule=name)
    assert torch.allclose(betas(schedule).float(), peer.betas, atol=1e-7)
    assert torch.allclose(alphas_cumprod(schedule), peer.alphas_cumprod, atol=1e-5)


@pytest.mark.parametrize("schedule", BetaSchedule)
def test_betas_grow_from_0_00085_over_the_timesteps_asked_for(schedule):
    values = betas(schedule, 50)
    assert values.shape == (50,)
    assert values[0].item() == pytest.approx(0.00085)
    assert (values.diff() > 0).all()
    assert (alphas_cumprod(schedule, 50).diff() < 0).all()
