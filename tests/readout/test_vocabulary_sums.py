"""The sums over the vocabulary, in slices of any shape, against their definitions in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from lenstui.readout import vocabulary_sums as module
from lenstui.readout.likeliest import block_maxima, top_tokens
from lenstui.readout.vocabulary_sums import vocabulary_sums

ROWS, COLUMNS, VOCABULARY = 5, 7, 300
TOKENS = 3


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=str)
def logits(request: pytest.FixtureRequest) -> Tensor:
    """Some are so far below the others that their weights are no float32 numbers."""
    torch.manual_seed(0)
    drawn = 4 * torch.randn(ROWS, COLUMNS, VOCABULARY) + 60 * torch.randn(ROWS, COLUMNS, 1)
    drawn[:, :, ::9] -= 200
    return drawn.to(request.param)


@pytest.fixture
def probs() -> Tensor:
    return (4 * torch.randn(COLUMNS, VOCABULARY, generator=torch.Generator().manual_seed(1))).softmax(-1)


def own_of(logits: Tensor) -> Tensor:
    return logits[..., [5, 9, 200]].float()


@pytest.mark.parametrize("cells", [1, 2, 4, 5, 12, 1000])
def test_they_are_what_they_are_defined_to_be(
    cells: int, logits: Tensor, probs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of some rows of one column, of all rows of one or several, and all together."""
    monkeypatch.setattr(module, "_SLICE_BYTES", cells * 4 * VOCABULARY // torch.get_num_threads())
    before = logits.clone()
    found = vocabulary_sums(logits, probs, own_of(logits))
    assert torch.equal(logits, before)
    z, p = logits.double(), probs.double()
    shifted = z - z.amax(-1, keepdim=True)
    weights = shifted.exp()
    s = p + weights / weights.sum(-1, keepdim=True)
    wanted = {
        "peak": z.amax(-1),
        "total": weights.sum(-1),
        "weighted": (weights * shifted).sum(-1),
        "cross": (p * shifted).sum(-1),
        "mixed": (s * s.log()).sum(-1),
    }
    by_name: Mapping[str, Any] = found
    for name, values in wanted.items():
        assert torch.allclose(by_name[name].double(), values, rtol=2e-6, atol=5e-6), name
    greater = (z[..., None] > own_of(logits).double()[..., None, :]).sum(-2)
    assert torch.equal(found["greater"], greater.int())
    assert torch.equal(found["maxima"], block_maxima(logits.float()))


@pytest.mark.parametrize("cells", [1, 5, 12])
def test_distributions_are_added_up(
    cells: int, logits: Tensor, probs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SLICE_BYTES", cells * 4 * VOCABULARY // torch.get_num_threads())
    sums = torch.ones(ROWS, VOCABULARY)
    vocabulary_sums(logits, probs, own_of(logits), sums)
    assert torch.allclose(sums.double(), 1 + logits.double().softmax(-1).sum(1), atol=1e-5)


def test_a_token_that_is_forbidden_counts_where_it_is_allowed_in_the_final_row(probs: Tensor) -> None:
    logits = torch.randn(ROWS, COLUMNS, VOCABULARY, generator=torch.Generator().manual_seed(2))
    logits[1, 2, 40] = -torch.inf  # allowed by the final distribution
    logits[:, 4, 50] = -torch.inf
    probs[4, 50] = 0
    found = vocabulary_sums(logits, probs, own_of(logits))
    is_endless = torch.zeros(ROWS, COLUMNS, dtype=torch.bool)
    is_endless[1, 2] = True
    assert torch.equal(found["cross"] == -torch.inf, is_endless)
    shifted = (logits - logits.amax(-1, keepdim=True)).double()
    wanted = torch.where(probs > 0, probs * shifted, 0.0).sum(-1)
    assert torch.allclose(found["cross"].double(), wanted, atol=1e-5)
    assert found["total"].isfinite().all()
    assert found["mixed"].isfinite().all()


def test_many_small_terms_beside_a_large_one_are_not_lost() -> None:
    """A product of matrices adds one term after the other, and loses what is below the last digit."""
    generator = torch.Generator().manual_seed(3)
    logits = 5 * torch.randn(2, 1, 50_000, generator=generator)
    logits[:, 0, 7] = 80
    p = torch.rand(1, 50_000, generator=generator) * 2e-7
    p[0, 11] = 1 - p.sum()
    found = vocabulary_sums(logits, p, own_of(logits))
    wanted = (p.double() * (logits.double() - 80)).sum(-1)
    assert torch.allclose(found["cross"].double(), wanted, rtol=1e-6)


@pytest.mark.parametrize("vocabulary", [258, 70, 64, 1000])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_likeliest_of_no_numbers_are_tokens_all_the_same(vocabulary: int, sign: float) -> None:
    """A NaN has a sign, and what fills up the last block of a vocabulary is no token."""
    logits = torch.full((3, vocabulary), float("nan")).copysign(torch.tensor(sign))
    logits[1] = -torch.inf
    logits[2, ::2] = 1.0
    for k in (1, 5):
        ids = top_tokens(logits, k)[1]
        assert ids.shape == (3, k)
        assert ((ids >= 0) & (ids < vocabulary)).all()
        assert all(len(set(row)) == k for row in ids.tolist())
