"""A prompt set as JSON. The keys and their meaning are a contract: any change to them changes `VERSION`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lenstui.export.json_contract import counts, keys_with, numbers, plain, without_nan
from lenstui.export.set_outliers import score_facts, separation_facts
from lenstui.export.set_tidy import SetHeading
from lenstui.export.set_values import runs_of
from lenstui.export.tidy import TokenText
from lenstui.readout.cells import FloatArray
from lenstui.readout.sets.cases import CaseReadout, FailedCase, LastColumn
from lenstui.readout.sets.first_rows import first_rows
from lenstui.readout.sets.mean_values import all_means
from lenstui.readout.sets.means import (
    LensMeans,
    SetEffects,
    SetMeans,
    effects_by_group,
    effects_over,
    mean_over,
    means_by_group,
)
from lenstui.readout.sets.prompt_fields import Case

VERSION = 1


def set_json(readouts: Sequence[CaseReadout | FailedCase], heading: SetHeading, texts: TokenText) -> str:
    """Return a set as one line of JSON, ASCII alone. Lists are by row; a lens that was not read is null.

    `crystallization`, the row where the top-1 settles, is null unless all rows were read. So is every number
    of a row whose logits are not finite, which counts in no mean. With the readout filter, `words_only`, the
    tokens of `top1_ids` and `final_id` are the likeliest words; all else is of the whole vocabulary.

    Under edits all that is of the edited runs, as in a readout of one prompt; a case has the final token and
    the lenses of its clean run in `clean`. The means of the clean runs are in `clean` beside `means`, and in
    `effect` those of the paired differences, edited minus clean.

    Of two sides all of that is of the second one; what the first says is in `first` instead of `clean`, and
    the paired differences, second minus first, in `difference` instead of `effect`. `against` is the source
    of the second.

    With outlier scores each case has its `scores`, or null with the reason in `not_scored`, and each of its
    lenses `mean_next_logprob`; `outliers` says what they are of, and `auroc` how well they tell groups apart.

    Args:
        readouts: the readouts of all cases, in order.
        heading: the heading of the set.
        texts: display texts of all tokens in the readouts.
    """
    content = {
        "version": VERSION,
        **heading.facts(),
        "rows": list(heading.rows),
        "cases": [_case(readout, heading, texts) for readout in readouts],
        **_all_means(readouts, heading.above),
        **_areas(readouts, heading),
    }
    return json.dumps(content, allow_nan=False) + "\n"


def _areas(readouts: Sequence[CaseReadout | FailedCase], heading: SetHeading) -> dict[str, Any]:
    if heading.outliers is None:
        return {}
    return {"auroc": [separation_facts(each) for each in heading.outliers.separations(readouts)]}


def _all_means(readouts: Sequence[CaseReadout | FailedCase], above: float) -> dict[str, Any]:
    runs = runs_of(readouts)
    return _means_by_group(readouts, above) if runs is None else _effects(readouts, runs, above)


def _means_by_group(readouts: Sequence[CaseReadout | FailedCase], above: float) -> dict[str, Any]:
    groups = {name: _means(means) for name, means in means_by_group(readouts, above=above).items()}
    return {"means": _means(mean_over(readouts, above=above)), "groups": groups}


def _effects(
    readouts: Sequence[CaseReadout | FailedCase], runs: tuple[str, str, str], above: float
) -> dict[str, Any]:
    effects, groups = effects_over(readouts, above=above), effects_by_group(readouts, above=above)

    def of(run: Callable[[SetEffects], SetMeans]) -> dict[str, Any]:
        return {
            "means": _means(run(effects)),
            "groups": {name: _means(run(of_group)) for name, of_group in groups.items()},
        }

    return {
        **of(lambda each: each.edited),
        runs[0]: of(lambda each: each.clean),
        runs[2]: of(lambda each: each.effect),
    }


def _case(readout: CaseReadout | FailedCase, heading: SetHeading, texts: TokenText) -> dict[str, Any]:
    case = readout.case
    about = {
        "number": case.number,
        "prompt": case.text,
        **messages_of(case),
        "target": case.target,
        "foil": case.foil,
        "group": case.group,
        "at": case.at,
    }
    if isinstance(readout, FailedCase):
        return {**about, "error": readout.reason}
    target, foil, before = readout.target, readout.foil, readout.before
    name = "clean" if readout.first is None else "first"
    return {
        **about,
        "error": None,
        "tokens": readout.tokens,
        "dropped": readout.dropped,
        **_final(readout),
        "target_id": None if target is None else target.id,
        "target_token": readout.target_text,
        "target_whole": None if target is None else target.whole,
        "target_ids": None if target is None else list(target.ids),
        "foil_id": None if foil is None else foil.id,
        "foil_token": readout.foil_text,
        "foil_whole": None if foil is None else foil.whole,
        "foil_ids": None if foil is None else list(foil.ids),
        "no_difference": readout.no_difference or None,
        "lenses": _lenses(readout, heading, texts),
        **_scores(readout, heading),
        **({} if before is None else {name: {**_final(before), "lenses": _lenses(before, heading, texts)}}),
    }


def _scores(readout: CaseReadout, heading: SetHeading) -> dict[str, Any]:
    if heading.outliers is None:
        return {}
    scores = score_facts(readout, heading.outliers.methods) if readout.scores else None
    return {"scores": scores, "not_scored": readout.not_scored or None}


def messages_of(case: Case) -> dict[str, Any]:
    """Return the turns of a prompt, and of a corrupted one, by name; nothing where it is one text."""
    pairs = (("messages", case.turns), ("corrupted_messages", case.corrupted_turns))
    return {name: turns.messages for name, turns in pairs if turns is not None}


def _final(readout: CaseReadout) -> dict[str, Any]:
    return {
        "final_id": readout.final_id,
        "final_token": readout.final_text,
        "final_prob": numbers(np.array([readout.final_prob], np.float32))[0],
    }


def _lenses(readout: CaseReadout, heading: SetHeading, texts: TokenText) -> dict[str, Any]:
    found = {name: _column(readout.lenses.get(name), heading, texts) for name in keys_with(readout.lenses)}
    for name, of_next in readout.next_logprob.items():
        found[name] = {**(found[name] or {}), "mean_next_logprob": numbers(of_next)}
    return found


def _column(column: LastColumn | None, heading: SetHeading, texts: TokenText) -> dict[str, Any] | None:
    if column is None:
        return None
    settled = column.crystallization
    return {
        "top1_ids": counts(column.top_id),
        "top1_tokens": [texts[token] if token >= 0 else None for token in column.top_id.tolist()],
        "top1_probs": numbers(column.top_prob),
        **{name: plain(of_value) for name, of_value in column.values.items()},
        "target_logprob": numbers(column.target_logprob),
        "target_prob": numbers(column.target_prob),
        "target_rank": counts(column.target_rank),
        "target_word_logprob": _some(column.whole_logprob),
        **_foil(column),
        "crystallization": None if settled is None else heading.rows[settled],
        **{
            first.stored: None if (row := first.of(column, heading.above)) is None else heading.rows[row]
            for first in first_rows()
        },
    }


def _foil(column: LastColumn) -> dict[str, Any]:
    """Return the numbers of the foil, and its differences from the target; null without a foil."""
    foil = column.foil
    return {
        "foil_logprob": None if foil is None else numbers(foil.logprob),
        "foil_rank": None if foil is None else counts(foil.rank),
        "foil_word_logprob": None if foil is None else _some(foil.whole_logprob),
        "logit_diff": _some(column.logit_diff),
        "word_logprob_diff": _some(column.whole_diff),
    }


def _some(values: FloatArray) -> list[float | None] | None:
    """Return the numbers; None where there is none at all."""
    return None if np.isnan(values).all() else numbers(values)


def _means(means: SetMeans) -> dict[str, Any]:
    lenses = {name: _lens(means.lenses.get(name)) for name in keys_with(means.lenses)}
    return {"n": means.n, "n_target": means.n_target, "n_foil": means.n_foil, "lenses": lenses}


def _lens(means: LensMeans | None) -> dict[str, Any] | None:
    if means is None:
        return None
    found: dict[str, Any] = {}
    medians: dict[str, Any] = {}  # written after the means
    for value in all_means():
        mean, error = value.of(means)
        if error is None:
            medians[value.stored] = numbers(mean)
        else:
            found[value.stored] = {"mean": numbers(mean), "sem": numbers(error)}
    for first in first_rows():
        rows = means.first[first.key]
        of_rows = without_nan([rows.mean, rows.sem])
        found[first.stored] = {"mean": of_rows[0], "sem": of_rows[1], "n": rows.n}
    return found | medians
