"""Causal traces over a prompt set against single traces, and their means by hand."""

from __future__ import annotations

import statistics
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from lenstui.edits.edit import Columns
from lenstui.edits.set_trace import CaseTrace, mean_trace, mean_trace_by_group, trace_set
from lenstui.edits.trace import trace
from lenstui.edits.trace_options import TraceOptions
from lenstui.lens import Case, FailedCase, LensError, Model
from lenstui.readout.reading import Reading

CASES = (
    Case(1, "the cat ", "a", "pets", "the fox ", "b"),
    Case(2, "the dog ", "d", "pets", "the hen ", "e"),
    Case(3, "red sky ", "f", "skies", "few sky ", "g"),
    Case(4, "far sea ", "h", None, "far bay ", "i"),
)
LOGPROB = TraceOptions(metric="logprob")


def token(model: Model, text: str | None) -> int:
    (found,) = model.tokenizer(text)["input_ids"]
    return int(found)


def single(model: Model, case: Case, options: TraceOptions, *, minus: bool = True) -> Any:
    """The trace of one case alone, with the tokens of its words."""
    prompts = [Reading().prompt(model, text) for text in (case.text, case.corrupted) if text is not None]
    other = token(model, case.minus) if minus else None
    known = replace(options, token=token(model, case.target), minus=other)
    return trace(model, prompts[0], None if options.noise else prompts[1], known)


@pytest.mark.parametrize("what", ["resid", "mlp", "head"])
def test_means_and_errors_are_those_of_single_traces(tiny: Model, what: Any) -> None:
    options = TraceOptions(what=what)
    found = list(trace_set(tiny, CASES, options))
    alone = [single(tiny, case, options) for case in CASES]
    for one, wanted, case in zip(found, alone, CASES, strict=True):
        assert isinstance(one, CaseTrace) and one.case is case
        np.testing.assert_array_equal(one.trace.recovered, wanted.recovered)
    means, groups = mean_trace(found), mean_trace_by_group(found)
    assert means is not None
    assert (means.n, {name: group.n for name, group in groups.items()}) == (4, {"pets": 2, "skies": 1})
    shape = (tiny.num_blocks + (what == "resid"), 4 if what == "head" else 8)
    assert means.counts.shape == shape
    for row in range(shape[0]):
        for column in range(shape[1]):
            for name in ("recovered", "raw"):
                numbers = [float(getattr(each, name)[row, column]) for each in alone]
                mean = getattr(means, name)
                assert mean.mean[row, column] == pytest.approx(statistics.mean(numbers), abs=1e-6)
                error = statistics.stdev(numbers) / 4**0.5
                assert mean.sem[row, column] == pytest.approx(error, abs=1e-6)
            pair = [float(each.recovered[row, column]) for each in alone[:2]]
            of_pets = groups["pets"].recovered
            assert of_pets.mean[row, column] == pytest.approx(sum(pair) / 2, abs=1e-6)
            assert of_pets.sem[row, column] == pytest.approx(abs(pair[0] - pair[1]) / 2, abs=1e-6)
    assert np.isnan(groups["skies"].recovered.sem).all()
    for name in ("clean", "corrupted"):
        numbers = [getattr(each, name) for each in alone]
        assert float(getattr(means, name).mean) == pytest.approx(statistics.mean(numbers))
        assert float(getattr(means, name).sem) == pytest.approx(statistics.stdev(numbers) / 2)


def test_noise_is_the_same_as_alone(tiny: Model) -> None:
    options = TraceOptions(metric="logprob", noise=Columns(((1, 2),)), samples=3)
    found = list(trace_set(tiny, CASES[:2], options))
    for one, case in zip(found, CASES, strict=False):
        assert isinstance(one, CaseTrace) and one.corrupted is None
        wanted = single(tiny, case, options, minus=False)
        np.testing.assert_array_equal(one.trace.recovered, wanted.recovered)
        assert one.trace.sigma == wanted.sigma


def test_a_metric_without_words_takes_the_likeliest_tokens_of_each_prompt(tiny: Model) -> None:
    cases = [Case(each.number, each.text, None, None, each.corrupted) for each in CASES]
    for one in trace_set(tiny, cases, LOGPROB):
        assert isinstance(one, CaseTrace)
        logits = tiny.module(tiny.tokenizer(one.case.text, return_tensors="pt")["input_ids"]).logits[0, -1]
        assert one.trace.options.token == int(logits.argmax())
    for one in trace_set(tiny, CASES[:1], TraceOptions(metric="kl")):
        assert isinstance(one, CaseTrace) and one.trace.options.token is None


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case(9, "", "a", None, "the fox "), "The prompt is empty."),
        (Case(9, "the cat ", "a"), "It has no corrupted prompt"),
        (Case(9, "the cat ", "ab", None, "the fox ", "c"), "No single token is 'ab': it begins with a."),
        (Case(9, "the cat ", "a", None, "the fox ", "bc"), "No single token is 'bc'"),
        (Case(9, "the cat ", "a", None, "the fox ", "a"), "Target and minus are the same token, a."),
        (Case(9, "the cat ", "a", None, "the cat ", "b"), "differ by 0 in this metric"),
    ],
)
def test_what_cannot_be_traced_says_why_and_the_others_go_on(tiny: Model, case: Case, reason: str) -> None:
    failed, one = trace_set(tiny, [case, CASES[0]])
    assert isinstance(failed, FailedCase) and reason in failed.reason
    assert isinstance(one, CaseTrace)
    means = mean_trace([failed, one])
    assert means is not None and means.n == 1
    assert mean_trace([failed]) is None and mean_trace_by_group([failed]) == {}


def test_prompts_of_several_lengths_have_a_mean_by_attention_head_alone(tiny: Model) -> None:
    cases = [*CASES[:2], Case(7, "a longer cat ", "a", None, "a longer fox ", "b")]
    with pytest.raises(LensError) as error:
        next(trace_set(tiny, cases))
    assert str(error.value).startswith("2 of 3 prompts have 8 tokens, others do not (number 7 has 13): ")
    assert "--what head" in str(error.value)
    found = list(trace_set(tiny, cases, TraceOptions(what="head")))
    assert all(isinstance(each, CaseTrace) for each in found)
    far, *rest = trace_set(tiny, cases[::-1], TraceOptions(what="head", column=9))
    assert isinstance(far, CaseTrace)
    assert all(isinstance(each, FailedCase) and "no column 9" in each.reason for each in rest)


def test_a_place_without_a_counterpart_counts_for_the_others_alone(tiny: Model) -> None:
    """The second clean prompt is shorter by two: two columns of its corrupted one have nothing to take."""
    cases = [CASES[0], Case(8, "t cat ", "a", None, "the fox ", "b")]
    found = list(trace_set(tiny, cases))
    assert all(isinstance(each, CaseTrace) for each in found)
    means = mean_trace(found)
    assert means is not None
    assert sorted(means.counts[0].tolist()) == [1, 1, 2, 2, 2, 2, 2, 2]
    (first, second) = (each.trace for each in found if isinstance(each, CaseTrace))
    alone = np.isnan(second.recovered)
    np.testing.assert_allclose(means.recovered.mean[alone], first.recovered[alone], atol=1e-6)
    assert np.isnan(means.recovered.sem[alone]).all()


def test_it_says_how_far_it_is_and_stops_when_nobody_asks(tiny: Model) -> None:
    told: list[tuple[int, int]] = []
    traces = trace_set(tiny, CASES, on_row=lambda done, rows: told.append((done, rows)))
    assert len(list(islice(traces, 2))) == 2
    traces.close()  # type: ignore[attr-defined]
    assert told == [(row, 4) for row in (1, 2, 3, 4)] * 2
