"""The area under the ROC curve against a count of pairs, and its interval against a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lenstui.readout.sets.auroc import auroc, separations
from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.prompt_fields import Case
from lenstui.support.errors import LensError


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_share_of_pairs_in_the_right_order(seed: int) -> None:
    draw = np.random.default_rng(seed)
    outliers = draw.integers(0, 9, draw.integers(1, 30)) + draw.integers(0, 4)  # many ties
    normal = draw.integers(0, 9, draw.integers(1, 30))
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in outliers for low in normal]
    found = auroc(outliers.tolist(), normal.tolist())
    assert found.value == pytest.approx(np.mean(pairs))
    assert 0 <= found.low <= found.value <= found.high <= 1


def hanley_mcneil(area: float, n: int, normal: int) -> float:
    """Return the variance of an area as in Hanley and McNeil (1982), with the mean of both numbers."""
    q1, q2, others = area / (2 - area), 2 * area**2 / (1 + area), (n + normal) / 2 - 1
    return (area * (1 - area) + others * (q1 - area**2) + others * (q2 - area**2)) / (n * normal)


@pytest.mark.parametrize(("outliers", "normal"), [([3, 5, 5, 8], [1, 2, 5, 4, 0]), ([4, 5, 6], [1, 2])])
def test_its_ends_are_1_96_standard_errors_away(outliers: list[float], normal: list[float]) -> None:
    found = auroc(outliers, normal)
    for end in {found.low, found.high} - {0.0, 1.0}:
        error = math.sqrt(hanley_mcneil(end, len(outliers), len(normal)))
        assert abs(found.value - end) / error == pytest.approx(1.959964, abs=1e-4)


def test_where_all_pairs_are_apart_the_interval_has_a_width() -> None:
    for outliers, normal, value in (([5.0] * 10, [1.0] * 10, 1.0), ([1.0] * 10, [5.0] * 10, 0.0)):
        found = auroc(outliers, normal)
        assert found.value == value
        assert found.high - found.low == pytest.approx(0.2, abs=0.02)
        assert found.value in {found.low, found.high}


@pytest.mark.parametrize(("shift", "n", "normal"), [(0.0, 15, 25), (1.0, 20, 20), (2.5, 12, 30)])
def test_95_of_100_intervals_hold_the_true_area(shift: float, n: int, normal: int) -> None:
    true = 0.5 * math.erfc(-shift / 2)  # of two normal distributions of variance 1
    draw, runs = np.random.default_rng(0), 1000
    found = [
        auroc((draw.standard_normal(n) + shift).tolist(), draw.standard_normal(normal).tolist())
        for _ in range(runs)
    ]
    held = np.mean([area.low <= true <= area.high for area in found])
    assert 0.93 <= held <= 0.98
    assert np.mean([area.value for area in found]) == pytest.approx(true, abs=0.01)


def scored(number: int, group: str | None, score: float | None) -> CaseReadout:
    scores = {} if score is None else {"lof": score}
    return CaseReadout(
        Case(number, "x", group=group), 1, 0, None, None, math.nan, None, None, {}, scores=scores
    )


def test_groups_are_told_from_the_first_or_a_named_one() -> None:
    readouts: list[CaseReadout | FailedCase] = [
        FailedCase(Case(1, "", group="a"), "The prompt is empty."),
        scored(2, "a", 1.0),
        scored(3, "b", 3.0),
        scored(4, None, 9.0),
        scored(5, "a", 2.0),
        scored(6, "c", 0.0),
        scored(7, "c", None),
    ]
    first = separations(readouts)
    assert [(each.group, each.n, each.normal, each.n_normal) for each in first] == [
        ("b", 1, "a", 2),
        ("c", 1, "a", 2),
        (None, 2, "a", 2),
    ]
    assert [each.methods["lof"].value for each in first] == [1.0, 0.0, 0.5]
    assert [(each.group, each.methods["lof"].value) for each in separations(readouts, "c")] == [
        ("a", 1.0),
        ("b", 1.0),
        (None, 1.0),
    ]
    with pytest.raises(
        LensError, match=r"No prompt is in the group 'd' of normal prompts \(they have a, b, c\)"
    ):
        separations(readouts, "d")
    with pytest.raises(LensError, match="they have no groups"):
        separations([scored(1, None, 1.0)], "d")


def test_one_group_alone_has_no_area() -> None:
    assert separations([scored(1, "a", 1.0), scored(2, "a", 2.0), scored(3, None, 2.0)]) == []
    assert separations([scored(1, "a", 1.0), scored(2, "b", None)], "b") == []
    assert separations([]) == []
