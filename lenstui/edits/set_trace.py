"""Causal traces over a prompt set, and their means with standard errors over the prompts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lenstui.edits.trace import Trace, trace_steps
from lenstui.edits.trace_options import TraceOptions
from lenstui.model.load import Model
from lenstui.model.tokens import Prompt
from lenstui.readout.continuation import text_behind
from lenstui.readout.pins import find_target
from lenstui.readout.reading import Reading
from lenstui.readout.sets.cases import FailedCase
from lenstui.readout.sets.means import Mean, mean_of_cases
from lenstui.readout.sets.prompt_fields import Case
from lenstui.support.errors import SHORTER_PROMPT, LensError, failure

OnRow = Callable[[int, int], None]
"""Told after each row of a prompt how many are done, and how many there are."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseTrace:
    """The causal trace of one prompt of a set.

    Attributes:
        case: the case.
        clean: its prompt.
        corrupted: its corrupted prompt; None under noise.
        trace: the finished trace, with the tokens of its metric in the options.
    """

    case: Case
    clean: Prompt
    corrupted: Prompt | None
    trace: Trace


@dataclass(frozen=True, slots=True, eq=False)
class TraceMeans:
    """Means over the causal traces of a set, each with its standard error over the prompts.

    Attributes:
        n: the number of traces.
        counts: how many of them have a number in a place, `[rows, cols]` or `[blocks, heads]`.
        clean: the metric of the clean runs, a single number.
        corrupted: that of the corrupted runs, likewise.
        recovered: the share that a patch restores, each of its own prompt's difference, as `counts`.
        raw: the metric of the patched runs, likewise.
    """

    n: int
    counts: npt.NDArray[np.int64]
    clean: Mean
    corrupted: Mean
    recovered: Mean
    raw: Mean


def trace_set(
    model: Model,
    cases: Sequence[Case],
    options: TraceOptions | None = None,
    *,
    reading: Reading | None = None,
    on_row: OnRow | None = None,
) -> Iterator[CaseTrace | FailedCase]:
    """Trace every case, one by one. Closing the generator stops the work.

    A case is patched from its prompt into its `corrupted` one, or into itself under `options.noise`. Its
    `target` and `minus` are the tokens of the metric, as far as it has and the metric needs them; else they
    are the likeliest tokens of its own clean and corrupted run.

    Args:
        model: from `load`.
        cases: from `open_prompts`, with corrupted prompts (`PromptFile.of_pairs`).
        options: what is patched, and how it is measured, but for the tokens; None for the defaults.
        reading: BOS and chat template; None for the defaults.
        on_row: is told about the progress of each case.

    Yields:
        The trace of each case, in order, or the reason why it cannot be traced.

    Raises:
        LensError: if the reading does not fit the model, or, unless attention heads are patched, the prompts
            that are patched are not of one length in tokens.
    """
    options, reading = options or TraceOptions(), reading or Reading()
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    prepared = [_prepared(model, case, options, reading) for case in cases]
    if options.what != "head":
        _check_lengths([each for each in prepared if isinstance(each, _Prepared)])
    for each in prepared:
        yield each if isinstance(each, FailedCase) else _traced(model, each, on_row)


def mean_trace(traces: Iterable[CaseTrace | FailedCase]) -> TraceMeans | None:
    """Return the means over all cases that were traced; None where there is none."""
    found = [each.trace for each in traces if isinstance(each, CaseTrace)]
    if not found:
        return None
    recovered = np.array([each.recovered for each in found], np.float64)  # [cases, rows, cols]
    return TraceMeans(
        n=len(found),
        counts=(~np.isnan(recovered)).sum(0),
        clean=mean_of_cases(np.array([each.clean for each in found])),
        corrupted=mean_of_cases(np.array([each.corrupted for each in found])),
        recovered=mean_of_cases(recovered),
        raw=mean_of_cases(np.array([each.raw for each in found], np.float64)),
    )


def mean_trace_by_group(traces: Iterable[CaseTrace | FailedCase]) -> Mapping[str, TraceMeans]:
    """Return the means over the cases of each group, in order of appearance; cases of none are left out."""
    groups: dict[str, list[CaseTrace]] = {}
    for each in traces:
        if isinstance(each, CaseTrace) and each.case.group is not None:
            groups.setdefault(each.case.group, []).append(each)
    return {group: means for group, of in groups.items() if (means := mean_trace(of)) is not None}


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A case as it will be traced: its prompts as tokens, and the options with its own tokens."""

    case: Case
    clean: Prompt
    corrupted: Prompt | None
    options: TraceOptions

    @property
    def columns(self) -> int:
        """The number of columns that are patched."""
        return len((self.corrupted or self.clean).ids)


def _prepared(model: Model, case: Case, options: TraceOptions, reading: Reading) -> _Prepared | FailedCase:
    try:
        return _tokenized(model, case, options, reading)
    except LensError as error:
        return FailedCase(case, str(error))


def _tokenized(model: Model, case: Case, options: TraceOptions, reading: Reading) -> _Prepared:
    if not case.text:
        raise LensError("The prompt is empty.")
    clean, corrupted = reading.prompt(model, case.typed), None
    if options.noise is None:
        if case.typed_corrupted is None:
            raise LensError("It has no corrupted prompt, into which the clean one could be patched.")
        if (case.turns is None) != (case.corrupted_turns is None):
            raise LensError("One of its prompts is of turns, and the other is one text.")
        corrupted = reading.prompt(model, case.typed_corrupted)
    return _Prepared(case, clean, corrupted, _with_words(model, case, clean, options))


def _with_words(model: Model, case: Case, clean: Prompt, options: TraceOptions) -> TraceOptions:
    """Return the options with the tokens of a case's words, as far as the metric is of them.

    Raises:
        LensError: if a word is not a single token, or both are the same one.
    """
    behind = text_behind(clean, chat=case.turns is not None)

    def token(word: str | None) -> int | None:
        if word is None:
            return None
        pin = find_target(model.tokenizer, model.texts, word, prompt=behind, vocabulary=model.vocabulary)
        if not pin.whole:
            raise LensError(f"No single token is {word!r}: it begins with {model.texts[pin.id]}.")
        return pin.id

    if options.metric == "kl":
        return options
    target = token(case.target)
    minus = token(case.minus) if options.metric == "logit-diff" else None
    if target is not None and target == minus:
        raise LensError(f"Target and minus are the same token, {model.texts[target]}.")
    return replace(options, token=target, minus=minus)


def _check_lengths(prepared: Sequence[_Prepared]) -> None:
    """Refuse prompts of several lengths, whose columns do not belong together."""
    lengths = Counter(each.columns for each in prepared)
    if len(lengths) < 2:
        return
    ((usual, count),) = lengths.most_common(1)
    other = next(each for each in prepared if each.columns != usual)
    raise LensError(
        f"{count} of {len(prepared)} prompts have {usual} tokens, others do not (number {other.case.number} "
        f"has {other.columns}): a mean by column takes prompts of one length. Trace attention heads, which "
        "go by block (--what head), or leave the others out."
    )


def _traced(model: Model, prepared: _Prepared, on_row: OnRow | None) -> CaseTrace | FailedCase:
    case, found = prepared.case, None
    try:
        for found in trace_steps(model, prepared.clean, prepared.corrupted, prepared.options):
            if on_row is not None:
                on_row(found.done, len(found.rows))
    except LensError as error:
        return FailedCase(case, str(error))
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        return FailedCase(case, failure("Tracing failed", error, SHORTER_PROMPT))
    assert found is not None
    if not math.isfinite(found.clean - found.corrupted):
        return FailedCase(case, "The metric of its clean or its corrupted run is no finite number.")
    return CaseTrace(case, prepared.clean, prepared.corrupted, found)
