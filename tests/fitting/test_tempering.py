"""Tempering: what is added to the bias of a closed form, and what that does to its KL."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from lenstui.fitting.closed_form import NormalEquations
from lenstui.fitting.tempering import SHARES, Tempering, tempering
from lenstui.lens import Model, wire
from lenstui.texts.blocks import token_blocks
from tests.tiny.families import FAMILIES, random_model

Result = TypeVar("Result")


def result(work: Generator[None, None, Result]) -> Result:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Result = end.value
            return found


def mean_probs(model: Model, h: Tensor) -> Tensor:
    return model.head(h[-1]).softmax(-1).mean(0)


def kl(model: Model, h: Tensor, row: int, weight: Tensor, bias: Tensor) -> float:
    """Mean KL(final ‖ lens) of a row over all columns, in float64."""
    final = model.head(h[-1]).double().log_softmax(-1)
    lens = model.head(h[row] + h[row] @ weight.T + bias).double().log_softmax(-1)
    return float((final.exp() * (final - lens)).sum(-1).mean())


@torch.no_grad()
def test_it_makes_a_real_model_less_sure_and_better(stories260k: Model, shared: Any) -> None:
    """On text that neither the regression nor the choice of the share has seen."""
    import pyarrow.parquet as pq

    texts = pq.read_table(shared / "corpora" / "stories.parquet").column("text").to_pylist()[:60]
    blocks = list(token_blocks(stories260k.tokenizer, texts, 128))[:24]
    h = [stories260k.stream(block[None])[:, 0].clone() for block in blocks]
    normal = NormalEquations.new(0, stories260k.num_blocks, stories260k.d_model, stories260k.device)
    for each in h[:16]:
        normal.add(each)
    seen, unseen = torch.cat(h[:4], 1)[:, ::4], torch.cat(h[16:], 1)
    tempers = tempering(stories260k, seen, None, mean_probs(stories260k, seen))
    assert tempers is not None
    for row in range(2):  # those that know little
        weight, bias = normal.solve(row)
        offset = result(tempers.offset(row, weight, bias))
        before = kl(stories260k, unseen, row, weight, bias)
        assert kl(stories260k, unseen, row, weight, bias + offset) < 0.9 * before
        entropies = [
            torch.distributions.Categorical(logits=stories260k.head(unseen[row] + unseen[row] @ weight.T + b))
            for b in (bias, bias + offset)
        ]
        assert entropies[1].entropy().mean() > entropies[0].entropy().mean()


@torch.no_grad()
def test_the_share_is_the_best_of_those_tried(tiny: Model) -> None:
    h = tiny.stream(torch.arange(200)[None] % 250)[:, 0].clone()
    tempers = tempering(tiny, h, None, mean_probs(tiny, h))
    assert tempers is not None
    assert torch.isclose(tempers.direction.norm(), torch.tensor(1.0), atol=1e-5)
    weight, bias = -0.6 * torch.eye(tiny.d_model), torch.zeros(tiny.d_model)  # a guess that is too short
    for row in range(tiny.num_blocks):
        guess = h[row] + h[row] @ weight.T
        missing = (h[-1].square().sum(-1).median() - guess.square().sum(-1).median()).clamp(min=0).sqrt()
        tried = [kl(tiny, h, row, weight, bias + share * missing * tempers.direction) for share in SHARES]
        offset = result(tempers.offset(row, weight, bias))
        assert kl(tiny, h, row, weight, bias + offset) == pytest.approx(min(tried), rel=1e-5)
    # A guess that is too long already gets nothing.
    assert not result(tempers.offset(0, 1e4 * torch.eye(tiny.d_model), bias)).any()


@pytest.mark.parametrize("name", ["GPT-NeoX", "Llama"])  # a layer norm and a root mean square
@torch.no_grad()
def test_the_direction_shortens_a_state_and_says_little(name: str, byte_tokenizer: Any) -> None:
    model = wire(name, random_model(FAMILIES[name].config), byte_tokenizer)
    h = model.stream(torch.arange(100)[None])[:, 0].clone()
    tempers = tempering(model, h, None, mean_probs(model, h))
    assert isinstance(tempers, Tempering)
    state = h[-1, 7]
    added = state + 3 * state.norm() * tempers.direction
    logits, quieter = (model.head(each[None])[0] for each in (state, added))
    assert quieter.std() < 0.8 * logits.std()  # not the mean, which a layer norm takes off
    random = torch.nn.functional.normalize(torch.randn(50, len(state)), dim=-1)
    spreads = model.head(3 * state.norm() * random).std(-1)
    assert model.head(3 * state.norm() * tempers.direction[None]).std() < spreads.median()
