"""Standard errors, calibration of long texts and the jackknife, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from lenstui.evaluation import calibration
from lenstui.evaluation.calibration import Calibration
from lenstui.evaluation.marginal_bias import jackknife
from lenstui.evaluation.sums import means
from lenstui.texts.bootstrap import BlockSums, bootstrap_error

SIMULATIONS = 200


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


# The bootstrap.


def test_of_equal_blocks_it_is_that_of_their_mean() -> None:
    values = np.random.default_rng(0).normal(3, 1, (50, 4))
    error = bootstrap_error(values, lambda sums: sums / 50)
    np.testing.assert_allclose(error, of_runs(values, 3), rtol=0.06)


def of_runs(values: np.ndarray, run: int) -> np.ndarray:
    """The error of a mean over blocks, by the variance of all runs of neighbours, in a circle."""
    off = values - values.mean(axis=0)
    runs = np.mean([np.roll(off, -place, axis=0) for place in range(run)], axis=0)
    blocks = len(values)
    return np.sqrt((runs**2).mean(axis=0) * run / blocks / (1 - run / blocks))


def test_neighbours_that_depend_on_each_other_make_it_larger() -> None:
    """Of a process whose mean is known to be that uncertain; blocks drawn one by one would say half of it."""
    generator = np.random.default_rng(7)
    steps = generator.normal(0, 1, (1003, 400))
    values = np.sum(
        [steps[place : place + 1000] for place in range(4)], axis=0
    )  # each block shares three steps of four
    error = bootstrap_error(values, lambda sums: sums / 1000)
    truth = 4 / np.sqrt(1000)
    assert np.sqrt((error**2).mean()) == pytest.approx(truth, rel=0.1)
    assert (values.std(axis=0) / np.sqrt(1000)).mean() == pytest.approx(truth / 2, rel=0.1)


def test_of_two_blocks_it_is_as_large_as_of_many() -> None:
    """Without the factor √(n / (n - 1)) it would be too small by 0.7."""
    error = bootstrap_error(np.array([[1.0], [3.0]]), lambda sums: sums / 2)
    np.testing.assert_allclose(error, np.std([1, 3], ddof=1) / np.sqrt(2), rtol=0.05)


def test_a_single_block_has_none() -> None:
    assert np.isnan(bootstrap_error(np.ones((1, 2, 3)), lambda sums: sums[:, 0])).all()


def test_an_infinite_divergence_has_no_error() -> None:
    sums = np.ones((6, 2))
    sums[2, 0] = np.inf
    assert np.isnan(bootstrap_error(sums, ratio))


def test_nominal_95_percent_intervals_of_means_cover() -> None:
    """Of every mean, with blocks that differ in all of them."""
    generator = np.random.default_rng(1)
    truth = np.array([2.0, 0.3, 1.5, 1.0, 3.0, 1.0, 3.0, 4.0])  # of a position: see `sums_of`
    known = means(np.append(truth, 0.0)[:, None])
    inside = dict.fromkeys(known, 0)
    for _ in range(SIMULATIONS):
        lengths = generator.integers(200, 300, (60, 1))
        of_block = truth * generator.lognormal(-0.02, 0.2, (60, len(truth)))  # of mean 1
        of_block[:, [3, 5]] = 1  # a position is one, in every block
        sums = np.concatenate([lengths * of_block, np.zeros((60, 1))], axis=1)[:, :, None]
        estimate = means(sums.sum(axis=0))
        errors = bootstrap_error(sums, lambda drawn: np.stack([*means(drawn).values()], axis=-2))
        for (name, value), error in zip(known.items(), errors, strict=True):
            inside[name] += bool(abs(estimate[name] - value) <= 1.96 * error)
    for name, count in inside.items():
        assert 0.90 <= count / SIMULATIONS <= 0.99, name


def test_sums_of_many_blocks_stay_few() -> None:
    """Their total is that of all, each entry is as many neighbours, and the error is the same."""
    values = np.random.default_rng(2).normal(3, 1, 5000)
    sums = BlockSums()
    for value in values:
        sums.add(np.array([value, 1.0]))
    stacked = sums.stacked()
    assert 512 <= len(stacked) <= 1024
    np.testing.assert_allclose(stacked.sum(axis=0), [values.sum(), 5000])
    assert set(stacked[:-1, 1]) == {8.0}
    np.testing.assert_allclose(stacked[3, 0], values[24:32].sum())
    of_entries = stacked[:, 0] / stacked[:, 1]
    np.testing.assert_allclose(bootstrap_error(stacked, ratio), of_runs(of_entries, 8), rtol=0.06)


# The jackknife.


def test_the_jackknife_of_a_mean_is_the_standard_error_of_a_mean() -> None:
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    without = np.array([np.delete(values, i).mean() for i in range(5)])
    estimate, error = jackknife(values.mean(), without, np.full(5, 7))
    assert estimate == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(5))


def test_the_jackknife_takes_the_bias_of_a_variance_away() -> None:
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    without = np.array([np.delete(values, i).var() for i in range(5)])
    assert jackknife(values.var(), without, np.ones(5, int))[0] == pytest.approx(values.var(ddof=1))


def test_of_groups_of_unequal_size_a_mean_has_no_bias() -> None:
    sizes = np.array([3, 8, 5, 1])
    means_of_groups = np.array([2.0, 3.0, 1.0, 7.0])
    total = (sizes * means_of_groups).sum()
    without = (total - sizes * means_of_groups) / (sizes.sum() - sizes)
    estimate, error = jackknife(total / sizes.sum(), without, sizes)
    assert estimate == pytest.approx(total / sizes.sum())
    assert error > 0
    assert np.isnan(jackknife(1.0, np.array([np.nan]), np.array([4]))).all()


def test_nominal_95_percent_intervals_of_the_marginal_bias_cover() -> None:
    """And its estimate is less biased than the plain one, which is too large."""
    generator = np.random.default_rng(3)
    words, positions, groups = 400, 640, 32
    common = generator.dirichlet(np.full(words, 0.5))
    other = common * generator.lognormal(0, 0.5, words)
    other /= other.sum()
    floor = common > 1e-12
    known = float((common[floor] * np.log(common[floor] / other[floor])).sum())

    def divergence(final: np.ndarray, lens: np.ndarray) -> np.ndarray:
        p, q = (np.maximum(sums, 1e-30) / sums.sum(-1, keepdims=True) for sums in (final, lens))
        return (p * np.log(p / q)).sum(-1)

    inside, plain, corrected = 0, [], []
    for _ in range(SIMULATIONS):
        # Each position's distributions are about its own means; their sums by group are what is kept.
        final, lens = (
            generator.gamma(positions // groups * 30 * of_word, size=(groups, words)) / 30
            for of_word in (common, other)
        )
        whole = divergence(final.sum(0), lens.sum(0))
        without = divergence(final.sum(0) - final, lens.sum(0) - lens)
        estimate, error = jackknife(float(whole), without, np.full(groups, positions // groups))
        inside += bool(abs(estimate - known) <= 1.96 * error)
        plain.append(float(whole))
        corrected.append(estimate)
    assert 0.90 <= inside / SIMULATIONS <= 0.99
    assert np.mean(plain) - known > 5 * abs(np.mean(corrected) - known)


# Calibration.


def test_a_text_of_any_length_has_its_calibration_in_little_memory() -> None:
    """Beyond what is kept one by one, it is nearly that of all positions, sorted."""
    generator = np.random.default_rng(4)
    confidence = generator.beta(0.5, 0.7, (2, 200, 500)).astype(np.float32)
    confidence[1] = np.round(confidence[1], 1)  # many alike
    right = generator.random((2, 200, 500)) < confidence**1.3 * 0.6 + 0.2  # too sure above, too unsure below
    found = Calibration(2)
    for block in range(200):
        found.add(confidence[:, block], right[:, block])
    errors, _ = found.errors()
    for row in range(2):
        values, hits = confidence[row].ravel(), right[row].ravel().astype(float)
        for each in np.unique(values) if row == 1 else ():
            hits[values == each] = hits[values == each].mean()
        order = np.argsort(values, kind="stable")
        gaps = np.repeat((values - hits)[order].astype(np.float64), 15).reshape(15, -1).mean(axis=1)
        assert errors[row] == pytest.approx(np.abs(gaps).mean(), abs=1e-3)
    assert len(found._kept) == 0
    assert found._cells.stacked().shape == (25, 2, 2, 512)  # 8 blocks in a group


def test_of_few_and_of_many_positions_calibration_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    confidence = generator.random((1, 60, 100)).astype(np.float32)
    right = generator.random((1, 60, 100)) < confidence**2
    confidence[0, 7, :50] = np.nan  # does not count
    exact, folded = Calibration(1), Calibration(1)
    for block in range(60):
        exact.add(confidence[:, block], right[:, block])
    monkeypatch.setattr(calibration, "_EXACT", 1000)
    for block in range(60):
        folded.add(confidence[:, block], right[:, block])
    np.testing.assert_allclose(exact.errors(), folded.errors(), rtol=0.01)


def test_nominal_95_percent_intervals_of_calibration_cover() -> None:
    """Of a lens that is too sure by the same 0.2 everywhere, so that the error is 0.2."""
    generator = np.random.default_rng(6)
    inside = 0
    for _ in range(SIMULATIONS):
        found = Calibration(1)
        for _ in range(40):
            confidence = generator.uniform(0.3, 0.9, (1, 50)).astype(np.float32)
            found.add(confidence, generator.random((1, 50)) < confidence - 0.2)
        (error,), (sem,) = found.errors()
        inside += bool(abs(error - 0.2) <= 1.96 * sem)
    assert 0.90 <= inside / SIMULATIONS <= 0.99
