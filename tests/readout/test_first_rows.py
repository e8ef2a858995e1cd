"""The first rows of a target, and their means, against plain loops over probabilities and ranks."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenstui.edits.edited_set import read_edited_set
from lenstui.lens import Case, CaseReadout, LensError, Model, mean_over, read_set
from lenstui.model.rows import RowChoice
from lenstui.readout.reading import Reading
from lenstui.readout.sets.cases import LastColumn
from lenstui.readout.sets.first_rows import first_row, first_rows, limit_of, limit_text
from lenstui.readout.sets.means import effects_over
from tests.by_hand import naive

LEADS, ABOVE = first_rows()


def column(ranks: list[int], probs: list[float]) -> LastColumn:
    """A column of so many rows, of which only the target's numbers matter."""
    rows = len(ranks)
    return LastColumn(
        top1=np.zeros(rows, np.int32),
        top_id=np.zeros(rows, np.int32),
        top_prob=np.ones(rows, np.float32),
        values={},
        target_logprob=np.log(np.array(probs, np.float32)),
        target_rank=np.array(ranks, np.int32),
        whole_logprob=np.zeros(rows, np.float32),
        crystallization=None,
        rows=tuple(range(0, 2 * rows, 2)),  # every second row
    )


@given(
    st.lists(st.tuples(st.integers(-2, 3), st.floats(0.001, 1)), min_size=1, max_size=9), st.floats(0, 0.99)
)
def test_the_first_of_the_rows_that_were_read(rows: list[tuple[int, float]], above: float) -> None:
    ranks, probs = (list(each) for each in zip(*rows, strict=True))
    ours = column(ranks, probs)
    leads = next((place for place, rank in enumerate(ranks) if rank == 0), None)
    high = next((place for place, prob in enumerate(ours.target_prob.tolist()) if prob > above), None)
    assert (LEADS.of(ours, above), ABOVE.of(ours, above)) == (leads, high)
    index = LEADS.index(ours, above)
    assert math.isnan(index) if leads is None else index == 2 * leads


def test_without_a_number_no_row_is_first() -> None:
    nothing = column([-1, -2], [math.nan, math.nan])
    assert LEADS.of(nothing, 0.5) is None and ABOVE.of(nothing, 0.0) is None


CASES = tuple(
    Case(number, f"prompt number {number} ", target, None) for number, target in enumerate("eat io", 1)
)


def by_hand(readouts: list[Any], key: str, above: float) -> list[float]:
    """The index of the first row of each case that has one, by a loop over its rows."""
    found = []
    for each in readouts:
        ours = each.lenses["logit"]
        for index, rank, logprob in zip(ours.rows, ours.target_rank, ours.target_logprob, strict=True):
            if rank == 0 if key == "leads" else math.exp(logprob) > above:
                found.append(float(index))
                break
    return found


@pytest.mark.parametrize("rows", [RowChoice(), RowChoice((("emb", "emb"), ("1", "1")))])
def test_means_are_over_the_cases_that_have_one(tiny: Model, rows: RowChoice) -> None:
    readouts = list(read_set(tiny, CASES, naive.random_lens(tiny), reading=Reading(rows)))
    ranks = sorted(rank for each in readouts for rank in each.lenses["logit"].target_prob.tolist())
    above = ranks[len(ranks) // 2]  # so that some have one, and some do not
    means = mean_over(readouts, above=above).lenses["logit"].first
    for key in ("leads", "above"):
        wanted = by_hand(readouts, key, above)
        assert means[key].n == len(wanted)
        if wanted:
            assert means[key].mean == pytest.approx(statistics.fmean(wanted))
        else:
            assert math.isnan(means[key].mean)
        if len(wanted) > 1:
            assert means[key].sem == pytest.approx(statistics.stdev(wanted) / math.sqrt(len(wanted)))
        else:
            assert math.isnan(means[key].sem)
    assert len(by_hand(readouts, "above", above)) > 1


def test_the_rows_are_those_of_the_stream(tiny: Model) -> None:
    (readout,) = read_set(tiny, CASES[:1], reading=Reading(RowChoice((("0", "0"),))))
    assert isinstance(readout, CaseReadout)
    assert tuple(readout.lenses["logit"].rows) == (1, tiny.num_blocks)


def test_under_edits_the_effect_is_of_the_cases_that_have_one_in_both_runs(tiny: Model) -> None:
    readouts: list[Any] = list(read_edited_set(tiny, CASES, ["ablate 1.attn", "ablate 0.mlp"]))
    probs = sorted(prob for each in readouts for prob in each.clean.lenses["logit"].target_prob.tolist())
    above = probs[len(probs) // 2]
    pairs = [
        (first.index(each.clean.lenses["logit"], above), first.index(each.lenses["logit"], above))
        for first in [first_row("above")]
        for each in readouts
    ]
    both = [(before, after) for before, after in pairs if not math.isnan(before + after)]
    assert len(both) > 1
    effects = effects_over(readouts, above=above)
    for means, wanted in (
        (effects.clean, [before for before, _ in both]),
        (effects.edited, [after for _, after in both]),
        (effects.effect, [after - before for before, after in both]),
    ):
        found = means.lenses["logit"].first["above"]
        assert found.n == len(both) and found.mean == pytest.approx(statistics.fmean(wanted))
        assert found.sem == pytest.approx(statistics.stdev(wanted) / math.sqrt(len(both)))


@pytest.mark.parametrize("typed", ["", "x", "1", "-0.1", "nan", "50%"])
def test_what_is_no_limit(typed: str) -> None:
    with pytest.raises(LensError, match="is no probability from 0 to below 1"):
        limit_of(typed)


def test_limits_as_text() -> None:
    assert [limit_text(limit_of(text)) for text in ("0.50", "0", ".125", "1e-3")] == [
        "0.5",
        "0",
        "0.125",
        "0.001",
    ]
