from __future__ import annotations

import pytest

from motion_module import BetaSchedule, alphas_cumprod, betas

HALFWAY = {
    BetaSchedule.LINEAR: (0.00085 + 0.012) / 2,
    BetaSchedule.SCALED_LINEAR: ((0.00085**0.5 + 0.012**0.5) / 2) ** 2,
    BetaSchedule.SCALED_LINEAR_SDXL: ((0.00085**0.5 + 0.020**0.5) / 2) ** 2,
}


@pytest.mark.parametrize("schedule", BetaSchedule)
def test_betas_grow_as_the_schedule_says_over_the_timesteps_asked_for(schedule):
    values = betas(schedule, 51)
    assert values.shape == (51,)
    assert values[0].item() == pytest.approx(0.00085)
    assert values[25].item() == pytest.approx(HALFWAY[schedule])
    assert (values.diff() > 0).all()


def test_signal_left_is_the_product_of_what_each_step_leaves():
    left = alphas_cumprod(BetaSchedule.LINEAR)
    steps = 1 - betas(BetaSchedule.LINEAR)
    assert left.shape == (1000,)
    assert left[2].item() == pytest.approx((steps[0] * steps[1] * steps[2]).item())
