"""Every measure of an evaluation against full tensors in float64, and what does not count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.evaluation.measures import MEASURES
from lenstui.lens import JacobianLens, LensError, LogitLens, Model, TunedLens, evaluate
from tests.by_hand import naive
from tests.tiny.families import FAMILIES

FAMILY = FAMILIES["GPT-NeoX"]
VOCABULARY, BYTES = 272, 258  # ids of the model; of them, those of the tokenizer: <bos>, <eos>, then bytes
BINS = 15


@pytest.fixture(scope="module")
def blocks() -> list[Tensor]:
    """More blocks than there may be groups, of other lengths."""
    generator = torch.Generator().manual_seed(0)
    lengths = [*range(10, 30), *[16] * 20]
    return [torch.randint(VOCABULARY, (length,), generator=generator) for length in lengths]


@pytest.fixture(scope="module")
def lens(tiny: Model) -> TunedLens:
    return naive.random_lens(tiny, size=0.3)


def all_logits(model: Model, blocks: Sequence[Tensor], lens: TunedLens | None) -> Iterator[np.ndarray]:
    """The logits of each block, `[rows, cols, vocabulary]`, float64."""
    weights = naive.weights(model.module)
    for block in blocks:
        h = naive.stream(model.module, block[None], FAMILY.h_last)
        yield FAMILY.logits(weights, h if lens is None else naive.translated(h, lens)).numpy()


def wanted(model: Model, blocks: Sequence[Tensor], lens: TunedLens | None) -> dict[str, np.ndarray]:
    """All measures by row, from all distributions of all positions at once."""
    logits = np.concatenate(list(all_logits(model, blocks, lens)), axis=1)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    probs = np.exp(logs)
    following = np.concatenate([[*block.tolist()[1:], -1] for block in blocks])
    number = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    has_next = following >= 0
    nats = -np.take_along_axis(logs, np.where(has_next, following, 0)[None, :, None], -1)[..., 0]
    is_byte = (following >= 2) & (following < BYTES)  # one byte each; the others are no part of a text
    top1 = logits.argmax(-1)
    return {
        "kl": (probs[-1] * (logs[-1] - logs)).sum(-1).mean(1),
        "ce": nats[:, has_next].mean(1),
        "perplexity": np.exp(nats[:, has_next].mean(1)),
        "bits_per_byte": nats[:, is_byte].sum(1) / np.log(2) / is_byte.sum(),
        "top1_agreement": (top1 == top1[-1]).mean(1),
        "entropy": -(probs * logs).sum(-1).mean(1),
        "ece": np.array(
            [
                calibration_error(row.max(-1)[has_next], (ids == following)[has_next])
                for row, ids in zip(probs, top1, strict=True)
            ]
        ),
        "marginal_bias": np.array([jackknifed(probs[-1], row, number // 2) for row in probs]),
    }


def calibration_error(confidence: np.ndarray, hit: np.ndarray) -> float:
    """Each position 15 times, with a fifteenth of its mass, so that bins of equal mass are cut exactly."""
    confidence = confidence.astype(np.float32)
    shared = np.array([hit[confidence == each].mean() for each in confidence])
    order = np.argsort(confidence, kind="stable")
    gaps = np.repeat((confidence - shared)[order], BINS).reshape(BINS, len(order))
    return float(np.abs(gaps.mean(1)).mean())


def divergence(final: np.ndarray, lens: np.ndarray) -> float:
    p, q = final.mean(0), lens.mean(0)
    return float((p * np.log(p / q)).sum())


def jackknifed(final: np.ndarray, lens: np.ndarray, group: np.ndarray) -> float:
    """`g · whole - Σ (1 - m/n) · without`, as Busing et al. have it."""
    groups = range(group.max() + 1)
    without = [divergence(final[group != g], lens[group != g]) * (group != g).mean() for g in groups]
    return len(groups) * divergence(final, lens) - sum(without)


@pytest.mark.parametrize("name", ["logit", "tuned"])
def test_every_measure_is_that_of_full_tensors(
    tiny: Model, blocks: list[Tensor], lens: TunedLens, name: str
) -> None:
    quality = evaluate(tiny, iter(blocks), lens)[name]
    naively = wanted(tiny, blocks, lens if name == "tuned" else None)
    assert set(naively) == {measure.name for measure in MEASURES}
    for measure, values in naively.items():
        np.testing.assert_allclose(quality.of(measure), values, rtol=1e-4, atol=1e-6, err_msg=measure)
        assert len(quality.sem[measure]) == len(values)
    assert (quality.tokens, quality.blocks) == (sum(map(len, blocks)), 40)


def test_the_model_itself_is_the_last_row_of_every_lens(
    tiny: Model, blocks: list[Tensor], lens: TunedLens
) -> None:
    logit, tuned = evaluate(tiny, blocks, lens).values()
    for measure in MEASURES:
        assert logit.of(measure.name)[-1] == tuned.of(measure.name)[-1]
        assert logit.sem[measure.name][-1] == tuned.sem[measure.name][-1]
        if not measure.of_model:
            assert logit.of(measure.name)[-1] == (measure.name == "top1_agreement")


def test_any_number_of_lenses_in_one_pass(tiny: Model, blocks: list[Tensor], lens: TunedLens) -> None:
    """Each has what it has alone, whatever is read beside it."""
    jacobian = JacobianLens({1: torch.eye(32)})
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    handle = tiny.module.register_forward_pre_hook(count)
    together = evaluate(tiny, blocks[:5], [LogitLens(), lens, jacobian])
    handle.remove()
    assert calls == 5
    for name, alone in (("logit", LogitLens()), ("tuned", lens), ("jacobian", jacobian)):
        (quality,) = evaluate(tiny, blocks[:5], [alone]).values()
        for measure in MEASURES:
            np.testing.assert_allclose(
                together[name].of(measure.name), quality.of(measure.name), rtol=1e-5, atol=1e-7
            )


def test_rows_that_a_lens_lacks_have_no_numbers(tiny: Model, blocks: list[Tensor]) -> None:
    quality = evaluate(tiny, blocks[:3], [JacobianLens({1: torch.eye(32)})])["jacobian"]
    logit = evaluate(tiny, blocks[:3])["logit"]
    assert quality.lacks == (0, 2)
    for measure in MEASURES:
        values, errors = np.array(quality.of(measure.name)), np.array(quality.sem[measure.name])
        assert np.isnan(values[[0, 2]]).all()
        assert np.isnan(errors[[0, 2]]).all()
        np.testing.assert_allclose(values[1], logit.of(measure.name)[1], rtol=1e-5)


def test_it_can_be_ended_with_what_was_measured(tiny: Model, blocks: list[Tensor]) -> None:
    """A block that is not whole counts nowhere."""
    wide = [torch.randint(VOCABULARY, (300,), generator=torch.Generator().manual_seed(i)) for i in range(3)]
    read: list[int] = []

    def until_the_middle_of_the_second(columns: int) -> bool:
        read.append(columns)
        return sum(read) < 400

    ended = evaluate(tiny, wide, go_on=until_the_middle_of_the_second)["logit"]
    (alone,) = evaluate(tiny, wide[:1]).values()
    assert ended.tokens == 300
    assert ended.kl == alone.kl
    assert sum(read) < 600
    assert evaluate(tiny, wide, go_on=lambda columns: False) == {}


def test_a_single_block_has_no_error_and_no_marginal_bias(tiny: Model, blocks: list[Tensor]) -> None:
    quality = evaluate(tiny, blocks[:1])["logit"]
    assert quality.sem == {}
    assert quality.kl_sem == ()
    assert np.isnan(quality.marginal_bias[:-1]).all()
    assert np.isfinite(quality.ece).all()


def test_marginal_bias_can_be_left_out(
    tiny: Model, blocks: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By request, or where its sums would take too much memory."""
    asked = evaluate(tiny, blocks[:3], marginal_bias=False)["logit"]
    monkeypatch.setattr("lenstui.evaluation.marginal_bias._MEMORY", 4 * 32 * 4 * VOCABULARY - 1)
    too_large = evaluate(tiny, blocks[:3])["logit"]
    monkeypatch.setattr("lenstui.evaluation.marginal_bias._MEMORY", 4 * 32 * 4 * VOCABULARY)
    just_fits = evaluate(tiny, blocks[:3])["logit"]
    assert asked.marginal_bias == too_large.marginal_bias == ()
    assert "marginal_bias" not in asked.sem
    assert np.isfinite(just_fits.marginal_bias).all()
    assert asked.kl == just_fits.kl


def test_it_refuses_no_blocks(tiny: Model) -> None:
    with pytest.raises(LensError, match="too little text for a single block"):
        evaluate(tiny, [])
