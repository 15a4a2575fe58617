from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from motion_module.products import gate, gated_linear, linear, uses_onednn
from tests.motion_module.samples import relative_error

TOKENS, WEIGHT, BIAS, BASE = (
    torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    for seed, shape in enumerate([(3, 5, 32), (48, 32), (48,), (3, 5, 48)])
)
EXACT_PRODUCT = F.linear(TOKENS.double(), WEIGHT.double(), BIAS.double())
MODES = pytest.mark.parametrize("with_gradients", [False, True], ids=["sampling", "training"])


@MODES
def test_product_equals_the_float64_one(with_gradients):
    with torch.set_grad_enabled(with_gradients):
        assert relative_error(linear(TOKENS, WEIGHT, BIAS), EXACT_PRODUCT) <= 1e-6
        assert relative_error(linear(TOKENS, WEIGHT, BIAS, BASE), EXACT_PRODUCT + BASE) <= 1e-6
        assert relative_error(linear(TOKENS, WEIGHT, None, BASE), EXACT_PRODUCT - BIAS + BASE) <= 1e-6


@MODES
def test_gated_product_equals_the_float64_one(with_gradients):
    with torch.set_grad_enabled(with_gradients):
        assert relative_error(gated_linear(TOKENS, WEIGHT, BIAS), gate(EXACT_PRODUCT)) <= 1e-6
        assert relative_error(gated_linear(TOKENS, WEIGHT, None), gate(EXACT_PRODUCT - BIAS)) <= 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_keep_theirs(dtype):
    weights = (each.to(dtype) for each in (TOKENS, WEIGHT, BIAS, BASE))
    assert linear(*weights).dtype == dtype


def test_onednn_is_for_sampling_on_cpus_alone():
    assert uses_onednn(TOKENS) == torch.backends.mkldnn.is_available()
    assert not uses_onednn(TOKENS.to("meta"))
    with torch.enable_grad():
        assert not uses_onednn(TOKENS)
