"""Prompt sets under edits against plain hooks, prompt by prompt, and means of differences by hand."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.edits.edit import PromptError
from lenstui.edits.edited import edited
from lenstui.edits.edited_set import read_edited_set
from lenstui.lens import Case, CaseReadout, FailedCase, LensError, Model, read_set
from lenstui.lens.jacobian import JacobianLens
from lenstui.readout.sets.means import effects_by_group, effects_over
from tests.by_hand import naive
from tests.edits.test_edited import NAMED, by_hooks, kept, put, zero
from tests.tiny.families import FAMILIES

FAMILY = "GPT-NeoX"
CASES = (
    Case(1, "abcdef", "x", "short"),
    Case(2, "ab", "y", "short"),
    Case(3, "the sea ", "z", "long"),
    Case(4, "no target", None, "long"),
    Case(5, "words ", "x", None),
)
EDITS = ("ablate 1.attn @2-3", 'patch row 0 "another text"')


def in_order(*arguments: Any) -> list[CaseReadout | FailedCase]:
    """The readouts, with targets as they are written: a space is a token here."""
    return list(read_edited_set(*arguments, exact_targets=True))


def ids_of(model: Model, text: str) -> list[int]:
    ids: list[int] = model.tokenizer(text)["input_ids"]
    return ids


def log_probs(h: Tensor, model: Model) -> Tensor:
    """By row, of the last column, `[rows, vocabulary]`, float64."""
    logits = FAMILIES[FAMILY].logits(naive.weights(model.module), h)
    last: Tensor = logits[:, -1].log_softmax(-1)
    return last


def by_hand(model: Model, text: str) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the clean run, and of the one under `EDITS`."""
    blocks, attention, *_ = NAMED[FAMILY]
    ids, other = ids_of(model, text), ids_of(model, "another text")
    from_other = kept(model, other, "in", f"{blocks}.1")  # row 0 is what block 1 takes
    assert len(ids) < len(other)  # and they end alike in one token at most: the last columns belong together
    sources = [*range(len(ids) - 1), len(other) - 1]
    changes: list[Any] = [
        ("in", f"{blocks}.1", put(from_other[sources])),
        ("out", f"{blocks}.1.{attention}", zero(2, 3)),
    ]
    return log_probs(by_hooks(model, ids), model), log_probs(by_hooks(model, ids, *changes), model)


def test_each_case_is_read_clean_and_edited(tiny: Model) -> None:
    readouts = in_order(tiny, CASES, EDITS)
    for case, readout in zip(CASES, readouts, strict=True):
        if case.text == "ab":
            assert isinstance(readout, FailedCase)
            assert readout.reason == (
                "Edit 'ablate 1.attn @2-3': there is no column 3: the prompt has columns 0 … 1."
            )
            continue
        assert isinstance(readout, CaseReadout) and readout.clean is not None
        for found, wanted in zip((readout.clean, readout), by_hand(tiny, case.text), strict=True):
            column = found.lenses["logit"]
            np.testing.assert_allclose(column.top_prob, wanted.exp().amax(-1), rtol=1e-4)
            if case.target is not None:
                (token,) = ids_of(tiny, case.target)
                np.testing.assert_allclose(column.target_logprob, wanted[:, token], rtol=1e-4, atol=1e-4)
        assert not np.allclose(readout.final_prob, readout.clean.final_prob)


def test_the_mean_effect_is_of_paired_differences(tiny: Model) -> None:
    readouts = in_order(tiny, CASES, EDITS)
    wanted = {}
    for case in CASES:
        if case.target is not None and case.text != "ab":
            (token,) = ids_of(tiny, case.target)
            wanted[case.number] = [run[:, token].tolist() for run in by_hand(tiny, case.text)]
    effects = effects_over(readouts)
    assert (effects.effect.n, effects.effect.n_target) == (4, 3)
    for row in range(tiny.num_blocks + 1):
        clean, changed = ([pair[run][row] for pair in wanted.values()] for run in (0, 1))
        differences = [after - before for before, after in zip(clean, changed, strict=True)]
        for means, numbers in (
            (effects.clean, clean),
            (effects.edited, changed),
            (effects.effect, differences),
        ):
            found = means.lenses["logit"].target_logprob
            assert found.mean[row] == pytest.approx(statistics.mean(numbers), rel=1e-4, abs=1e-4)
            error = statistics.stdev(numbers) / len(numbers) ** 0.5
            assert found.sem[row] == pytest.approx(error, rel=1e-3, abs=1e-4)
    groups = effects_by_group(readouts)
    assert {name: (group.effect.n, group.effect.n_target) for name, group in groups.items()} == {
        "short": (1, 1),
        "long": (2, 1),
    }
    before, after = wanted[3]
    np.testing.assert_allclose(
        groups["long"].effect.lenses["logit"].target_logprob.mean,
        np.array(after) - np.array(before),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_row_that_is_no_number_in_one_run_counts_in_none(tiny: Model) -> None:
    readouts = in_order(tiny, [CASES[0], CASES[2]], EDITS[:1])
    broken = readouts[1]
    assert isinstance(broken, CaseReadout)
    broken.lenses["logit"].target_logprob[2] = np.nan
    whole = readouts[0]
    assert isinstance(whole, CaseReadout) and whole.clean is not None
    effects = effects_over(readouts)
    for means, run in ((effects.clean, whole.clean), (effects.edited, whole)):
        found = means.lenses["logit"].target_logprob
        assert found.mean[2] == pytest.approx(float(run.lenses["logit"].target_logprob[2]))
        assert np.isnan(found.sem[2])
    assert effects.clean.n == 2


def test_words_have_their_directions_through_the_first_lens(tiny: Model) -> None:
    torch.manual_seed(0)
    own = {row: torch.randn(32, 32) for row in range(3)}
    lens = JacobianLens(own)
    edit = "steer x rows 1-2 by 2"
    (readout,) = in_order(tiny, CASES[:1], [edit], [lens])
    (alone,) = read_set(edited(tiny, [edit], CASES[0].text, lens=lens), CASES[:1], [lens], exact_targets=True)
    assert isinstance(readout, CaseReadout) and isinstance(alone, CaseReadout)
    np.testing.assert_array_equal(
        readout.lenses["jacobian"].target_logprob, alone.lenses["jacobian"].target_logprob
    )


def test_what_the_model_lacks_ends_the_set_at_once(tiny: Model) -> None:
    with pytest.raises(LensError, match="there is no block 9") as error:
        list(read_edited_set(tiny, CASES, ["ablate 9.attn"]))
    assert not isinstance(error.value, PromptError)
    with pytest.raises(LensError, match="'ablat' is no edit"):
        list(read_edited_set(tiny, CASES, ["ablat 1.attn"]))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ("ablate 1.attn @9", "there is no column 9"),
        ("ablate 1.attn @1 mean", "no other column"),
        ('patch row 1 @1 "a longer text"', None),
        ('patch row 1 @0-1 "abc" @0-2', "3 columns cannot be put into 2"),
        ("cut 1.0 1<-0-1", "nothing left to read"),
    ],
)
def test_what_a_prompt_lacks_leaves_it_out(tiny: Model, edit: str, reason: str | None) -> None:
    (readout,) = in_order(tiny, CASES[1:2], [edit])
    if reason is None:
        assert isinstance(readout, CaseReadout)
    else:
        assert isinstance(readout, FailedCase)
        assert readout.reason.startswith(f"Edit {edit!r}: ") and reason in readout.reason
