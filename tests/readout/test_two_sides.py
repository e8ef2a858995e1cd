"""A prompt set read by two models or two lenses, against readouts of each alone and plain formulas."""

from __future__ import annotations

import copy
import math
import statistics
from typing import Any

import numpy as np
import pytest

from lenstui.lens import Case, CaseReadout, FailedCase, Model, read_set, wire
from lenstui.lens.logit import LogitLens
from lenstui.model.rows import RowChoice
from lenstui.readout.reading import Reading
from lenstui.readout.sets.means import effects_by_group, effects_over
from lenstui.readout.sets.sides import SetSide, read_two_sides
from tests.by_hand import naive
from tests.tiny.families import FAMILIES, random_model

CASES = (
    Case(1, "Call me Ishmael. Some years ", "a", "one", foil="z"),
    Case(2, "x\n", "y", "two", foil="n"),
    Case(3, "The sky is ", "blue", "two", foil="grey"),
    Case(4, "no target", None, "two"),
    Case(5, ""),
)


@pytest.fixture(scope="module")
def shallow(byte_tokenizer: Any) -> Model:
    """Another random GPT-NeoX, of one block less."""
    config = copy.deepcopy(FAMILIES["GPT-NeoX"].config)
    config.num_hidden_layers -= 1
    return wire("shallow", random_model(config), byte_tokenizer)


def alone(model: Model, lens: Any) -> list[CaseReadout]:
    return [each for each in read_set(model, CASES, [lens]) if isinstance(each, CaseReadout)]


def test_every_case_is_read_by_both_and_differences_are_paired(tiny: Model) -> None:
    lenses = naive.random_lens(tiny), LogitLens()
    first, second = (SetSide(tiny, {"tuned": lens}) for lens in lenses)
    readouts = list(read_two_sides(first, second, CASES))
    assert isinstance(readouts[-1], FailedCase)
    assert readouts[-1].reason == "By the first side: The prompt is empty."
    wanted = [alone(tiny, lens) for lens in lenses]
    numbers: dict[str, list[list[list[float]]]] = {"prob": [], "diff": [], "kl": []}
    for place, both in enumerate(zip(*wanted, strict=True)):
        found = readouts[place]
        assert isinstance(found, CaseReadout) and found.first is not None
        pair = []
        for ours, plain in zip((found.first, found), both, strict=True):
            (column,), (key,) = plain.lenses.values(), ours.lenses
            assert key == "tuned"
            np.testing.assert_array_equal(ours.lenses[key].target_logprob, column.target_logprob)
            np.testing.assert_array_equal(ours.lenses[key].logit_diff, column.logit_diff)
            pair.append(column)
        for name, of in (
            ("prob", lambda column: column.target_prob),
            ("diff", lambda column: column.logit_diff),
            ("kl", lambda column: column.values["kl"]),
        ):
            numbers[name].append([of(column).astype(float).tolist() for column in pair])
    effects = effects_over(readouts)
    assert (effects.effect.n, effects.effect.n_target, effects.effect.n_diff) == (4, 3, 3)
    for name, mean in (
        ("prob", lambda means: means.lenses["tuned"].target_prob),
        ("diff", lambda means: means.lenses["tuned"].logit_diff),
        ("kl", lambda means: means.lenses["tuned"].values["kl"]),
    ):
        for row in range(4):
            pairs = [(one[row], other[row]) for one, other in numbers[name]]
            pairs = [pair for pair in pairs if not math.isnan(sum(pair))]
            for means, values in (
                (effects.clean, [one for one, _ in pairs]),
                (effects.edited, [other for _, other in pairs]),
                (effects.effect, [other - one for one, other in pairs]),
            ):
                found_mean = mean(means)
                assert found_mean.mean[row] == pytest.approx(statistics.fmean(values), rel=1e-4, abs=1e-6)
                error = statistics.stdev(values) / math.sqrt(len(values))
                assert found_mean.sem[row] == pytest.approx(error, rel=1e-3, abs=1e-6)


def test_a_group_of_one_prompt_has_a_difference_and_no_error(tiny: Model) -> None:
    lenses = LogitLens(), naive.random_lens(tiny)
    first, second = (SetSide(tiny, {"tuned": lens}) for lens in lenses)
    groups = effects_by_group(read_two_sides(first, second, CASES))
    assert {name: effects.effect.n for name, effects in groups.items()} == {"one": 1, "two": 3}
    of_one = groups["one"].effect.lenses["tuned"].target_logprob
    assert np.isfinite(of_one.mean).all() and np.isnan(of_one.sem).all()


def test_models_of_two_depths_are_compared_in_their_last_rows(tiny: Model, shallow: Model) -> None:
    readouts = list(read_two_sides(SetSide(tiny, {}), SetSide(shallow, {}), CASES[:3]))
    for case, found in zip(CASES, readouts, strict=False):
        assert isinstance(found, CaseReadout) and found.first is not None
        for ours, model in ((found.first, tiny), (found, shallow)):
            own = model.module(naive.ids_of(model, case.text)).logits[0, -1].detach().double().log_softmax(-1)
            column = ours.lenses["logit"]
            assert len(column.target_prob) == 1 and list(column.rows) == [tiny.num_blocks]
            target = model.tokenizer(case.target)["input_ids"][0]
            assert column.target_logprob[0] == pytest.approx(float(own[target]), rel=1e-4)


def test_rows_are_those_that_were_asked_for(tiny: Model) -> None:
    side = SetSide(tiny, {"logit": LogitLens()})
    reading = Reading(RowChoice((("0", "0"),)))
    (found,) = read_two_sides(side, side, CASES[:1], reading=reading)
    assert isinstance(found, CaseReadout) and len(found.lenses["logit"].target_prob) == 2
    effect = effects_over([found]).effect.lenses["logit"]
    assert effect.target_prob.mean.tolist() == [0.0, 0.0]
