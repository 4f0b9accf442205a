"""The benchmark computes what it says: a prompt's head shared or not, and linear layers in FP8."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.slow


def test_prompts_that_share_their_head_end_in_the_same_state() -> None:
    from benchmarks.gpu import TINY, make_model, random_tokens, with_shared_head

    torch.manual_seed(0)
    model = make_model(TINY, "cpu", torch.float32)
    head, tails = random_tokens(model, 1, 20), random_tokens(model, 3, 15)
    with torch.no_grad():
        whole = model(torch.cat([head.expand(3, -1), tails], dim=1)).last_hidden_state[:, -1]
    np.testing.assert_allclose(with_shared_head(model, head, tails), whole, rtol=0, atol=1e-4)


def test_fp8_is_off_by_a_few_percent() -> None:
    from benchmarks.gpu import Fp8Linear

    torch.manual_seed(0)
    layer, x = torch.nn.Linear(128, 64, bias=False), torch.randn(2, 5, 128)
    with torch.no_grad():
        exact, rounded = layer(x), Fp8Linear(layer)(x)
    assert rounded.shape == exact.shape
    assert 0 < float((rounded - exact).std() / exact.std()) < 0.06
