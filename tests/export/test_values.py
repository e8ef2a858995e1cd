"""What colours mean: values, scales and numbers as text."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.export.difference import Difference
from lenstui.readout.cells import Cells
from lenstui.readout.number_texts import nats_text, probability_text, rank_text
from lenstui.readout.scales import ARM, LEVELS, NEUTRAL, NO_LEVEL, STEPS, Scale, around_zero
from lenstui.readout.values import (
    AGREEMENT,
    ENTROPY,
    KL,
    NEXT_LOGPROB,
    NEXT_RANK,
    PIN_DIFFERENCE,
    PIN_LOGPROB,
    PIN_RANK,
    PROBABILITY,
    RANK,
    Value,
    all_values,
    values_for,
)
from lenstui.support.fixed_text import fixed_text

VOCABULARY = 50257
VALUES = all_values()


def one_cell(
    probability: float, entropy: float, kl: float, rank: int, logprob: float = math.nan, top1: int = 7
) -> Cells:
    def floats(number: float, *more: int) -> np.ndarray:
        return np.full((1, 1, *more), number, np.float32)

    def ints(number: int, *more: int) -> np.ndarray:
        return np.full((1, 1, *more), number, np.int32)

    return Cells(
        top1=ints(top1),
        top_ids=ints(top1, 1),
        top_logits=floats(0, 1),
        top_probs=floats(probability, 1),
        entropy=floats(entropy),
        kl=floats(kl),
        js=floats(min(kl, math.log(2))),
        final_rank=ints(rank),
        next_logprob=floats(logprob),
        next_rank=ints(-1 if math.isnan(logprob) else rank),
        pin_logits=floats(0, 0),
        pin_logprobs=floats(logprob, 1),
        pin_ranks=ints(-1 if math.isnan(logprob) else rank, 1),
    )


def above(cells: Cells, last: Cells) -> Cells:
    """Two rows of one column."""
    return Cells(
        **{f.name: np.concatenate([getattr(cells, f.name), getattr(last, f.name)]) for f in fields(Cells)}
    )


GOOD = one_cell(probability=1, entropy=0, kl=0, rank=0, logprob=0)
BAD = one_cell(probability=0, entropy=math.log(VOCABULARY), kl=1, rank=VOCABULARY, logprob=-12, top1=3)


@pytest.mark.parametrize("value", [v for v in VALUES if not v.diverges], ids=lambda value: value.key)
def test_good_is_bright_and_bad_is_dark(value: Value) -> None:
    numbers = value.of(above(BAD, GOOD))
    scale = value.scale([numbers], VOCABULARY)
    assert scale.levels(numbers).tolist() == [[0], [STEPS - 1]]
    assert scale.at(1) == pytest.approx(float(numbers[1, 0]))
    assert scale.at(0) == pytest.approx(float(numbers[0, 0]), rel=0.2)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.key)
def test_numbers_are_float32_by_row_and_column(value: Value) -> None:
    numbers = value.of(GOOD)
    assert numbers.dtype == np.float32
    assert numbers.shape == (1, 1)


def test_values_have_keys_and_labels_of_their_own() -> None:
    assert len({value.key for value in VALUES}) == len({value.label for value in VALUES}) == len(VALUES)


def test_nothing_to_show_has_no_level() -> None:
    assert RANK.scale((), 10).levels(RANK.of(one_cell(0, 0, 0, -1))).tolist() == [[NO_LEVEL]]
    unread = one_cell(math.nan, math.nan, math.nan, -1, top1=-1)
    assert all(np.isnan(value.of(unread)).all() for value in VALUES)
    for value in VALUES:
        blank = np.full((2, 3), np.nan, np.float32)
        assert (value.scale([blank], VOCABULARY).levels(blank) == NO_LEVEL).all()


def test_numbers_outside_take_the_end_steps() -> None:
    scale = Scale(0, 5, low_is_bright=True)
    assert scale.levels(np.array([-1, 0, 5, 6, np.inf], np.float32)).tolist() == [11, 11, 0, 0, 0]


def test_rank_is_logarithmic_and_rank_0_stands_alone() -> None:
    ranks = np.array([0, 1, 10, 100, 1000, VOCABULARY], np.float32)
    levels = RANK.scale((), VOCABULARY).levels(ranks).astype(int)
    assert levels[0] == STEPS - 1 > levels[1]
    assert (np.diff(levels) < 0).all()
    assert levels[3] in (5, 6)  # about halfway, though 100 of 50 000 is next to nothing


def test_probability_and_entropy_have_fixed_scales() -> None:
    assert PROBABILITY.scale([np.full((2, 2), 0.1, np.float32)], 100) == Scale(0, 1)
    entropy = ENTROPY.scale([np.full((2, 2), 0.1, np.float32)], 100)
    assert (entropy.lo, entropy.hi) == (0, math.log(100))


def test_one_token_vocabulary_divides_by_nothing() -> None:
    assert ENTROPY.scale((), 1).levels(np.zeros((1, 1), np.float32)).tolist() == [[STEPS - 1]]


def test_kl_scale_ignores_column_0() -> None:
    kl = np.full((10, 20), 2.9, np.float32)
    kl[:, 0] = 1e4
    assert KL.scale([kl], VOCABULARY).hi == pytest.approx(3)
    assert KL.scale([kl[:, :1]], VOCABULARY).hi >= 1e4, "unless there is nothing else"


def test_kl_scale_ignores_outliers_and_what_is_not_read() -> None:
    kl = np.full((10, 20), np.nan, np.float32)
    kl[:, 1:11] = 0.4
    kl[0, 5] = 1e6
    assert KL.scale([kl], VOCABULARY).hi == pytest.approx(0.4)
    kl[:, 0], kl[:, 1:] = 7, np.nan
    assert KL.scale([kl], VOCABULARY).hi == pytest.approx(8), "column 0 is all that has been read"


def test_kl_scale_is_shared() -> None:
    high, low = np.full((5, 5), 8, np.float32), np.full((5, 5), 1, np.float32)
    assert KL.scale([low, high], VOCABULARY) == KL.scale([high, low], VOCABULARY)
    assert KL.scale([low, high], VOCABULARY).hi == pytest.approx(8)


@pytest.mark.parametrize("arrays", [[], [np.empty((3, 0), np.float32)], [np.zeros((3, 4), np.float32)]])
def test_kl_scale_of_nothing(arrays: list[np.ndarray]) -> None:
    scale = KL.scale(arrays, VOCABULARY)
    assert 0 < scale.hi <= 1


@given(st.lists(st.floats(0, 1e5, width=32), min_size=2, max_size=50))
def test_kl_scale_holds_most_and_is_round(numbers: list[float]) -> None:
    kl = np.array([[0.0, *numbers]], np.float32)
    top = KL.scale([kl], VOCABULARY).hi
    assert np.percentile(kl[:, 1:], 95) <= top * 1.001
    assert float(f"{top:.2g}") == pytest.approx(top)


@given(st.floats(0, 1), st.booleans(), st.booleans())
def test_at_says_what_the_levels_are(fraction: float, log: bool, low_is_bright: bool) -> None:
    scale = Scale(0, 40, log, low_is_bright)
    level = scale.levels(np.array([scale.at(fraction)], np.float32))[0]
    assert abs(level - fraction * (STEPS - 1)) <= 0.5 + 1e-3


wild = st.floats(allow_nan=False, width=32)


@given(st.floats(0.01, 1e6), st.booleans(), st.lists(wild, min_size=1))
def test_a_scale_that_diverges_is_symmetrical_about_0(top: float, log: bool, numbers: list[float]) -> None:
    scale = Scale.around_zero(top, log=log)
    one, other = (scale.levels(sign * np.array([numbers], np.float32)).astype(int) for sign in (1, -1))
    assert (one + other == 2 * NEUTRAL).all()
    assert (np.sign(one - NEUTRAL) * np.sign(numbers) >= 0).all(), "never on the other side"
    assert ((one >= STEPS) & (one < LEVELS)).all()
    order = np.argsort(numbers)
    assert (np.diff(one[0, order]) >= 0).all()
    ends = np.array([0, -0.0, top, -top, np.inf, -np.inf, np.nan], np.float32)
    high, low = NEUTRAL + ARM, NEUTRAL - ARM
    assert scale.levels(ends).tolist() == [NEUTRAL, NEUTRAL, high, low, high, low, NO_LEVEL]
    assert (scale.at(0), scale.at(0.5), scale.at(1)) == pytest.approx((-top, 0, top))
    assert list(scale.steps) == list(range(STEPS, LEVELS))


@given(st.floats(0, 1), st.booleans())
def test_at_says_what_the_levels_are_where_a_scale_diverges(fraction: float, log: bool) -> None:
    scale = Scale.around_zero(40, log=log)
    level = scale.levels(np.array([scale.at(fraction)], np.float32))[0]
    assert abs(level - STEPS - fraction * 2 * ARM) <= 0.5 + 1e-3


def test_steps_are_even_or_even_in_the_logarithm() -> None:
    numbers = np.array([0.9, 1.1, 2.9, 3.1, 9.1], np.float32)
    assert (Scale.around_zero(10).levels(numbers) - NEUTRAL).tolist() == [0, 1, 1, 2, 5]
    edges = [math.expm1((step + 0.5) / ARM * math.log1p(1000)) for step in range(ARM)]
    scale = Scale.around_zero(1000, log=True)
    for step, edge in enumerate(edges):
        around = np.array([edge * 0.99, edge * 1.01], np.float32)
        assert (scale.levels(around) - NEUTRAL).tolist() == [step, step + 1]


def test_a_scale_around_zero_ignores_column_0_and_outliers_of_either_sign() -> None:
    numbers = np.full((10, 20), 0.9, np.float32)
    numbers[:, 1::2] = -1.9
    numbers[:, 0], numbers[3, 4], numbers[0, 5] = 1e4, -1e6, np.nan
    assert around_zero([numbers]) == Scale.around_zero(2.0)
    assert around_zero([numbers], log=True) == Scale.around_zero(2.0, log=True)
    assert around_zero([]).hi > 0


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0%"),
        (0.0004, "<0.1%"),
        (0.004, "0.4%"),
        (0.0097, "1%"),
        (0.31, "31%"),
        (0.999, "100%"),
        (1, "100%"),
    ],
)
def test_probability_text(number: float, text: str) -> None:
    assert probability_text(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.001, "<0.01"),
        (0.04, "0.04"),
        (2.214, "2.21"),
        (9.999, "10.0"),
        (123.4, "123"),
        (-4.4, "−4.40"),
        (-0.001, "0.00"),
        (-123.4, "−123"),
    ],
)
def test_nats_text(number: float, text: str) -> None:
    assert nats_text(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (12, "12"), (999, "999"), (1000, "1.0k"), (3412, "3.4k"), (9960, "10k"), (1_200_000, "1.2M")],
)
def test_rank_text(number: float, text: str) -> None:
    assert rank_text(number) == text


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.key)
def test_no_number_has_a_text(value: Value) -> None:
    assert value.format(math.nan) == "–"


# Values of the next token and of pins


def test_the_scale_of_log_probabilities_tells_small_ones_apart_and_large_ones() -> None:
    numbers = np.array([[0, -0.1, -1, -10, -50, math.nan]], np.float32)
    for vocabulary in (300, VOCABULARY, 250_000):
        for lowest in (0.2, 12, 80):
            scale = NEXT_LOGPROB.scale([np.full((3, 9), -lowest, np.float32)], vocabulary)
            levels = scale.levels(numbers)[0].tolist()
            assert levels[0] == STEPS - 1
            assert levels[0] >= levels[1] > levels[2] > levels[3] >= levels[4]
            assert levels[5] == NO_LEVEL
            assert scale.lo <= -math.log(vocabulary), "a mere guess is on it"
            assert scale.lo <= -lowest
            assert (scale.hi, scale.at(1)) == (0, 0)


@pytest.mark.parametrize("value", [NEXT_LOGPROB, PIN_LOGPROB, PIN_DIFFERENCE], ids=lambda value: value.key)
def test_column_0_and_what_is_no_number_decide_no_scale(value: Value) -> None:
    numbers = np.full((10, 20), -30, np.float32)
    numbers[:, 0], numbers[:, -1], numbers[2, 3] = -1e5, math.nan, -math.inf
    assert value.scale([numbers, numbers], 10).lo == -30
    assert value.scale([numbers[:, :1]], 10).lo <= -1e5, "unless there is nothing else"


def random_cells(rows: int, columns: int, pins: int, seed: int = 0) -> tuple[Cells, np.ndarray]:
    """Cells of random logits `[rows, columns, 50]`; token `i` is pin `i`, token 9 is the one that follows."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, columns, 50)).astype(np.float32) * 3
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    ranks = (logits[..., None, :] > logits[..., :, None]).sum(-1).astype(np.int32)
    next_logprob, next_rank = logprobs[..., 9].copy(), ranks[..., 9].copy()
    next_logprob[:, -1], next_rank[:, -1] = math.nan, -1
    zeros = np.zeros((rows, columns), np.float32)
    cells = Cells(
        top1=logits.argmax(-1).astype(np.int32),
        top_ids=logits.argmax(-1)[..., None].astype(np.int32),
        top_logits=logits.max(-1, keepdims=True),
        top_probs=np.exp(logprobs.max(-1, keepdims=True)),
        entropy=zeros,
        kl=zeros,
        js=zeros,
        final_rank=zeros.astype(np.int32),
        next_logprob=next_logprob,
        next_rank=next_rank,
        pin_logits=logits[..., :pins],
        pin_logprobs=logprobs[..., :pins],
        pin_ranks=ranks[..., :pins],
    )
    return cells, logits


def test_every_value_is_the_number_of_its_name() -> None:
    cells, logits = random_cells(4, 6, 3)
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(NEXT_LOGPROB.of(cells)[:, :-1], np.log(softmax[:, :-1, 9]), rtol=1e-5)
    np.testing.assert_array_equal(NEXT_RANK.of(cells)[:, :-1], (logits[:, :-1] > logits[:, :-1, [9]]).sum(-1))
    assert np.isnan(NEXT_LOGPROB.of(cells)[:, -1]).all()
    assert np.isnan(NEXT_RANK.of(cells)[:, -1]).all()
    np.testing.assert_allclose(PIN_LOGPROB.of(cells), np.log(softmax[..., 0]), rtol=1e-5)
    np.testing.assert_array_equal(PIN_RANK.of(cells), (logits > logits[..., :1]).sum(-1))
    np.testing.assert_allclose(
        PIN_DIFFERENCE.of(cells), np.log(softmax[..., 0] / softmax[..., 1]), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_array_equal(AGREEMENT.of(cells), softmax.argmax(-1) == softmax[-1].argmax(-1))


@pytest.mark.parametrize("pins", [0, 1, 2, 3])
def test_there_are_values_of_pins_where_there_are_pins(pins: int) -> None:
    cells, _ = random_cells(3, 4, pins)
    values = values_for(["·a", "{0}", "%s"][:pins])
    assert [value.key for value in values] == [value.key for value in VALUES[: len(values)]]
    assert {value.key for value in values} >= {"prob", "agree", "next-rank"}
    assert len(VALUES) - len(values) == {0: 3, 1: 1}.get(pins, 0)
    for value in VALUES:
        assert np.isnan(value.of(cells)).all() == (value.pins > pins)
    labels = {value.key: value.label for value in values}
    assert labels.get("pin-logprob") == ("log p(·a)" if pins else None)
    assert labels.get("pin-diff") == ("logit of ·a − {0}" if pins > 1 else None)
    assert len(set(labels.values())) == len(labels)


def test_agreement_is_yes_or_no() -> None:
    assert [AGREEMENT.format(number) for number in (0, 1, math.nan)] == ["no", "yes", "–"]
    assert list(AGREEMENT.scale((), 7).steps) == [0, STEPS - 1]


@pytest.mark.parametrize(
    ("text", "number", "wanted"),
    [
        (nats_text, float("nan"), "–"),
        (nats_text, float("-inf"), "−∞"),
        (nats_text, float("inf"), "∞"),
        (rank_text, float("nan"), "–"),
        (rank_text, -1, "–"),
        (rank_text, -2, "–"),
        (probability_text, 0.0, "0%"),
        (lambda number: fixed_text(number, 3), float("-inf"), "−∞"),
        (lambda number: fixed_text(number, 3), float("nan"), "–"),
        (lambda number: fixed_text(number, 3), 1.25, "1.250"),
        (lambda number: fixed_text(number, 3), -0.0004, "0.000"),
        (lambda number: fixed_text(number, 3), -0.0006, "−0.001"),
        (Difference(NEXT_LOGPROB, "logit", "tuned").format, float("-inf"), "−∞"),
        (Difference(RANK, "logit", "tuned").format, float("nan"), "–"),
    ],
)
def test_what_is_no_number_and_what_has_no_end(text: Any, number: float, wanted: str) -> None:
    assert text(number) == wanted
