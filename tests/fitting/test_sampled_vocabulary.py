"""Part of the vocabulary: who is drawn, and that sums over those who are stand for sums over all."""

from __future__ import annotations

import pytest
import torch

from lenstui.fitting.gradient import losses_and_gradient, product_head
from lenstui.fitting.sampled_vocabulary import SampledVocabulary
from lenstui.lens import Model
from lenstui.model.head import LinearHead

VOCABULARY, D = 1000, 16


@pytest.fixture(scope="module")
def mean_probs() -> torch.Tensor:
    """Few tokens are likely, most are not."""
    return torch.softmax(-0.02 * torch.arange(VOCABULARY).float(), -1)


@pytest.fixture(scope="module")
def counts() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 5, (VOCABULARY,), generator=generator)


def head(bias: bool, scale: float) -> LinearHead:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(VOCABULARY, D, generator=generator) / 4
    return LinearHead(weight, torch.randn(VOCABULARY, generator=generator) if bias else None, scale, None)


def test_about_as_many_are_drawn_as_asked(mean_probs: torch.Tensor, counts: torch.Tensor) -> None:
    sampled = SampledVocabulary.of(200, mean_probs, counts)
    assert sampled is not None
    assert float(sampled.chances.sum()) == pytest.approx(200, rel=1e-4)
    drawn = [len(sampled.draw(head(False, 1.0), seed).weight) for seed in range(50)]
    assert 180 < sum(drawn) / 50 < 220


def test_the_likeliest_are_always_there_and_everyone_can_be(
    mean_probs: torch.Tensor, counts: torch.Tensor
) -> None:
    sampled = SampledVocabulary.of(200, mean_probs, counts)
    assert sampled is not None
    assert (sampled.chances[mean_probs.argsort(descending=True)[:20]] == 1).all()
    assert (sampled.chances > 0).all()


@pytest.mark.parametrize("size", [0, 501, 5000])
def test_none_where_it_saves_nothing(size: int, mean_probs: torch.Tensor, counts: torch.Tensor) -> None:
    assert SampledVocabulary.of(size, mean_probs, counts) is None


def test_the_seed_alone_decides(mean_probs: torch.Tensor, counts: torch.Tensor) -> None:
    sampled = SampledVocabulary.of(200, mean_probs, counts)
    assert sampled is not None
    first, again, other = (sampled.draw(head(True, 1.0), seed).weight for seed in (3, 3, 4))
    assert first.equal(again)
    assert not first.equal(other)


@pytest.mark.parametrize(("bias", "scale"), [(False, 1.0), (True, 1.0), (True, 0.3)])
def test_sums_over_the_drawn_are_right_on_average(
    bias: bool, scale: float, mean_probs: torch.Tensor, counts: torch.Tensor
) -> None:
    whole = head(bias, scale)
    x = torch.randn(D, generator=torch.Generator().manual_seed(5))

    def sum_exp(of: LinearHead) -> float:
        logits = of.weight.double() @ x.double()
        if of.bias is not None:
            logits = logits + of.bias.double()
        return float((logits * of.scale).exp().sum())

    sampled = SampledVocabulary.of(300, mean_probs, counts)
    assert sampled is not None
    sums = torch.tensor([sum_exp(sampled.draw(whole, seed)) for seed in range(2000)])
    standard_error = float(sums.std()) / 2000**0.5
    assert abs(float(sums.mean()) - sum_exp(whole)) < 4 * standard_error
    assert standard_error < 0.01 * sum_exp(whole)  # else this shows nothing


def test_the_mean_gradient_is_near_that_of_all_tokens(tiny: Model) -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(200, (4, 16), generator=generator)
    h = torch.randn(3, 4, 16, tiny.d_model, generator=generator)
    x, final = tiny.head.norm(h), tiny.head.norm(torch.randn(4, 16, tiny.d_model, generator=generator))
    whole = product_head(tiny, "float32", final.reshape(-1, tiny.d_model))
    assert whole is not None
    probs = whole(final.reshape(-1, tiny.d_model)).softmax(-1).mean(0)
    sampled = SampledVocabulary.of(100, probs, torch.ones(tiny.vocabulary))
    assert sampled is not None

    def gradient(part: LinearHead) -> torch.Tensor:
        work = losses_and_gradient(tiny, part, x, final=final, ids=ids, loss="kl")
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value[1]

    exact = gradient(whole)
    mean = torch.stack([gradient(sampled.draw(whole, seed)) for seed in range(300)]).mean(0)
    assert float((mean - exact).norm() / exact.norm()) < 0.1
    assert float((gradient(sampled.draw(whole, 0)) - exact).norm() / exact.norm()) > 0.1
