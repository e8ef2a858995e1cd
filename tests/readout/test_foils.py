"""Foils of prompt sets against logits computed the wasteful way, and their means against plain formulas."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.edits.edited_set import read_edited_set
from lenstui.lens import Case, CaseReadout, LensError, Model, PromptFile, mean_over, open_prompts, read_set
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.logit import LogitLens
from lenstui.readout.sets.means import effects_over, means_by_group
from tests.by_hand import naive
from tests.tiny.families import FAMILIES

NORM = FAMILIES["GPT-NeoX"].h_last
# A byte is a token here.
CASES = (
    Case(1, "Call me Ishmael. Some years ", "a", "one", foil="z"),
    Case(2, "x\n", "yes", "two", foil="no"),
    Case(3, "The sky is ", "q", "two", foil="grey"),
    Case(4, "no foil ", "a", "two"),
    Case(5, "alike ", "blue", "two", foil="brown"),
    Case(6, "same ", "b", "two", foil="b"),
    Case(7, "no target", None, "two", foil="b"),
    Case(8, "no token", " ", "two", foil="b"),
)


def logits_of(tiny: Model, ids: torch.Tensor, lens: Any) -> dict[str, torch.Tensor]:
    """By lens, of the last column, `[rows, vocabulary]`, float64."""
    h = naive.stream(tiny.module, ids, NORM)
    formula, weights = FAMILIES["GPT-NeoX"].logits, naive.weights(tiny.module)
    return {
        "logit": formula(weights, h)[:, -1],
        "tuned": formula(weights, naive.translated(h, lens))[:, -1],
    }


def whole(tiny: Model, text: str, word: str, lens: Any) -> dict[str, np.ndarray]:
    """By lens, log p of a word behind a text, one pass a token, `[rows]`."""
    ids = naive.ids_of(tiny, text)
    sums = {"logit": np.zeros(4), "tuned": np.zeros(4)}
    for token in tiny.tokenizer(word)["input_ids"]:
        for name, logits in logits_of(tiny, ids, lens).items():
            sums[name] += logits.log_softmax(-1)[:, token].numpy()
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    return sums


def test_the_numbers_of_target_and_foil(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    for case, readout in zip(CASES, read_set(tiny, CASES, lens), strict=True):
        assert isinstance(readout, CaseReadout)
        compared = case.number in {1, 2, 3, 5}
        assert (readout.foil is not None) == compared
        for name, logits in logits_of(tiny, naive.ids_of(tiny, case.text), lens).items():
            ours = readout.lenses[name]
            if not compared:
                assert ours.foil is None
                assert np.isnan(ours.logit_diff).all() and np.isnan(ours.whole_diff).all()
                continue
            assert ours.foil is not None and case.target and case.foil
            target, foil = (tiny.tokenizer(word)["input_ids"][0] for word in (case.target, case.foil))
            own = logits.log_softmax(-1)
            np.testing.assert_allclose(ours.foil.logprob, own[:, foil], rtol=2e-5, atol=2e-5)
            np.testing.assert_array_equal(ours.foil.rank, (logits > logits[:, [foil]]).sum(-1))
            wanted = logits[:, target] - logits[:, foil] if target != foil else torch.full((4,), math.nan)
            np.testing.assert_allclose(ours.logit_diff, wanted, rtol=1e-4, atol=2e-5)
            of_target, of_foil = (
                whole(tiny, case.text, word, lens)[name] for word in (case.target, case.foil)
            )
            np.testing.assert_allclose(ours.whole_logprob, of_target, rtol=2e-5, atol=2e-5)
            np.testing.assert_allclose(ours.foil.whole_logprob, of_foil, rtol=2e-5, atol=2e-5)
            np.testing.assert_allclose(ours.whole_diff, of_target - of_foil, rtol=1e-4, atol=5e-5)


def test_of_single_tokens_the_difference_of_logits_is_that_of_log_probabilities(tiny: Model) -> None:
    (readout,) = read_set(tiny, CASES[:1], naive.random_lens(tiny))
    assert isinstance(readout, CaseReadout)
    for column in readout.lenses.values():
        np.testing.assert_allclose(column.logit_diff, column.whole_diff, rtol=1e-4, atol=1e-5)


def test_why_there_is_no_difference(tiny: Model) -> None:
    said = {
        each.case.number: each.no_difference
        for each in read_set(tiny, CASES)
        if isinstance(each, CaseReadout)
    }
    assert [said[number] for number in (1, 2, 3, 4)] == [""] * 4
    assert said[5].startswith("'blue' and 'brown' begin with the same token")
    assert said[6] == "Target and foil are the same, 'b'."
    assert said[7] == "The foil 'b' has no target to be held against."
    assert said[8].startswith("The foil 'b': The tokenizer puts a space of its own before 'b'")


def test_the_mean_difference_and_its_error(tiny: Model) -> None:
    lens = naive.random_lens(tiny)
    readouts = list(read_set(tiny, CASES, lens))
    found = {"": mean_over(readouts), **means_by_group(readouts)}
    assert [(found[name].n, found[name].n_foil, found[name].n_diff) for name in ("", "one", "two")] == [
        (8, 4, 3),
        (1, 1, 1),
        (7, 3, 2),
    ]
    for name in ("logit", "tuned"):
        numbers = []
        for case in CASES[:3]:
            assert case.target and case.foil
            logits = logits_of(tiny, naive.ids_of(tiny, case.text), lens)[name]
            target, foil = (tiny.tokenizer(word)["input_ids"][0] for word in (case.target, case.foil))
            numbers.append((logits[:, target] - logits[:, foil]).tolist())
        mean, of_one = found[""].lenses[name].logit_diff, found["one"].lenses[name].logit_diff
        for row in range(4):
            of_row = [of_case[row] for of_case in numbers]
            assert mean.mean[row] == pytest.approx(statistics.fmean(of_row), rel=1e-4, abs=1e-5)
            assert mean.sem[row] == pytest.approx(statistics.stdev(of_row) / math.sqrt(3), rel=1e-3)
            assert of_one.mean[row] == pytest.approx(of_row[0], rel=1e-4, abs=1e-5)
        assert np.isnan(of_one.sem).all()


def test_the_effect_of_an_edit_on_the_difference_is_paired(tiny: Model) -> None:
    readouts = list(read_edited_set(tiny, CASES[:3], ["ablate 1.attn"]))
    effect = effects_over(readouts).effect.lenses["logit"].logit_diff
    changes = []
    for each in readouts:
        assert isinstance(each, CaseReadout) and each.clean is not None
        changes.append((each.lenses["logit"].logit_diff - each.clean.lenses["logit"].logit_diff).tolist())
    for row in range(4):
        of_row = [change[row] for change in changes]
        assert effect.mean[row] == pytest.approx(statistics.fmean(of_row), rel=1e-5, abs=1e-6)
        assert effect.sem[row] == pytest.approx(statistics.stdev(of_row) / math.sqrt(3), rel=1e-4, abs=1e-6)


def test_a_lens_whose_readouts_are_no_distributions_has_logits_only(tiny: Model) -> None:
    jacobian = JacobianLens({row: torch.eye(32) for row in (1, 2)}, fit={"target": "last"})
    (readout,) = read_set(tiny, CASES[:1], [LogitLens(), jacobian])
    assert isinstance(readout, CaseReadout)
    column = readout.lenses["jacobian"]
    assert np.isfinite(column.logit_diff[1:]).all() and np.isnan(column.logit_diff[0])
    assert np.isnan(column.whole_diff).all()


def test_foils_in_files(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"prompt": "a", "target": 4, "foil": 5}\n{"prompt": "b", "minus": "c"}\n')
    assert open_prompts(PromptFile(lines)).cases == (Case(1, "a", "4", foil="5"), Case(2, "b"))
    assert open_prompts(PromptFile(lines, foil="minus")).cases == (Case(1, "a", "4"), Case(2, "b", foil="c"))
    assert open_prompts(PromptFile(lines, of_pairs=True)).cases[0] == Case(1, "a", "4")
    with pytest.raises(LensError, match="has 'other'"):
        open_prompts(PromptFile(lines, foil="other"))
