"""Jensen-Shannon divergence from the final distribution: by another formula, and at its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.lens import load, read
from lenstui.readout.reduction import final_of, reduce_rows
from lenstui.support.paths import bundled_model
from tests.by_hand import naive
from tests.tiny.families import FAMILIES

TEXT = "The quick brown fox jumps over the lazy dog"
COLUMNS, VOCABULARY = 7, 700


def mutual_information(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """What a token says of a fair coin by which it is drawn from `p` or `q`, nats: the same number."""
    coin = np.full(2, 0.5)
    joint = np.stack([p, q]) / 2
    independent = coin.reshape(2, *[1] * p.ndim) * joint.sum(0)
    logs = np.log(np.where(joint > 0, joint, 1) / np.where(joint > 0, independent, 1))
    information: np.ndarray = (joint * logs).sum((0, -1))
    return information


def random_logits(seed: int) -> Tensor:
    return 3 * torch.randn(COLUMNS, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def divergence(row: Tensor, final: Tensor) -> np.ndarray:
    against = final_of(final.clone(), torch.zeros(COLUMNS - 1, dtype=torch.long))
    return reduce_rows(row[None], against, 1, ())[0]["js"].numpy()


def softmax(logits: Tensor) -> np.ndarray:
    return logits.double().softmax(-1).numpy()


def test_of_the_bundled_model() -> None:
    model = load(str(bundled_model()), device="cpu")
    lens = naive.random_lens(model, size=0.02)
    family, weights = FAMILIES["GPT-NeoX"], naive.weights(model.module)
    h = naive.stream(model.module, naive.ids_of(model, TEXT), family.h_last)
    ours = read(model, TEXT, lens).lenses
    for name, states in (("logit", h), ("tuned", naive.translated(h, lens))):
        p = softmax(family.logits(weights, states))
        js = ours[name].js
        wanted = mutual_information(np.broadcast_to(p[-1], p.shape), p)
        np.testing.assert_allclose(js, wanted, rtol=1e-5, atol=5e-6)
        assert js.dtype == np.float32
        assert wanted[:-1].max() > 0.3
        assert (js[-1] == 0).all()
        # Between what Pinsker and Lin leave, by half the L1 distance of the distributions.
        apart = np.abs(p - p[-1]).sum(-1) / 2
        assert (apart**2 / 2 <= js + 1e-6).all()
        assert (js <= math.log(2) * apart + 1e-6).all()


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.1, 1.0, 10.0])
def test_it_is_symmetric_and_as_exact_where_distributions_are_near(scale: float) -> None:
    final = random_logits(1)
    row = final + scale * random_logits(2)
    there, back = divergence(row, final), divergence(final, row)
    np.testing.assert_allclose(there, back, atol=3e-6)
    np.testing.assert_allclose(there, mutual_information(softmax(row), softmax(final)), atol=3e-6)
    assert (there >= 0).all()


def test_of_distributions_that_share_no_token_it_is_ln_2() -> None:
    row, final = random_logits(1), random_logits(2)
    row[:, : VOCABULARY // 2] = -torch.inf
    final[:, VOCABULARY // 2 :] = -torch.inf
    js = divergence(row, final)
    np.testing.assert_allclose(js, math.log(2), atol=3e-6)
    assert (js <= np.float32(math.log(2))).all()


def test_forbidden_tokens_leave_it_finite() -> None:
    row, final = random_logits(1), random_logits(2)
    for logits in (row, final):
        logits[:, 300:] = -torch.inf
    row[:, 3] = final[:, 5] = -torch.inf
    js = divergence(row, final)
    np.testing.assert_allclose(js, mutual_information(softmax(row), softmax(final)), atol=3e-6)
    assert (js < 0.6).any()
