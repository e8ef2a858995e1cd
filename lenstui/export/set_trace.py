"""Causal traces over a prompt set as a table, Markdown, JSON and CSV. The JSON is a contract: `VERSION`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rich.text import Text

from lenstui.edits.set_trace import CaseTrace, TraceMeans, mean_trace, mean_trace_by_group
from lenstui.edits.trace_options import TraceOptions
from lenstui.export.csv_text import csv_pieces
from lenstui.export.json_contract import numbers
from lenstui.export.markdown import code_span, markdown_table, number_text, said
from lenstui.export.set_json import messages_of
from lenstui.export.set_table import set_summary
from lenstui.export.table import grid
from lenstui.export.text_width import wrapped
from lenstui.export.tidy import Column, TokenText
from lenstui.export.trace import everywhere, noise_text, option_facts, patched_text, share_text, token_facts
from lenstui.opening.source import Source, source_facts
from lenstui.readout.sets.cases import FailedCase
from lenstui.readout.sets.means import Mean
from lenstui.support.fixed_text import fixed_text
from lenstui.support.printable import printable

VERSION = 1
_METRIC = {
    "logit-diff": "logit of each prompt's target minus the other token's",
    "logprob": "log-probability of each prompt's target",
    "kl": "−KL from the clean run",
}


@dataclass(frozen=True, eq=False)
class TracedSet:
    """The traces of a prompt set, and what is needed to write their means down.

    Attributes:
        cases: the traces of all cases, in order, and why there is none.
        options: what was patched, and how it was measured, but for the tokens.
        prompts: the name of the set.
        skipped: the number of lines or rows of its file that held no prompt.
        source: the source of the numbers.
        texts: display texts of the tokens.
    """

    cases: Sequence[CaseTrace | FailedCase]
    options: TraceOptions
    prompts: str
    skipped: int
    source: Source
    texts: TokenText

    @cached_property
    def traced(self) -> list[CaseTrace]:
        """The cases that were traced; there is at least one."""
        return [each for each in self.cases if isinstance(each, CaseTrace)]

    @cached_property
    def of_all(self) -> TraceMeans:
        """The means over all of them."""
        means = mean_trace(self.traced)
        assert means is not None
        return means

    @cached_property
    def groups(self) -> Mapping[str, TraceMeans]:
        """The means over each group."""
        return mean_trace_by_group(self.traced)

    @property
    def shown(self) -> dict[str, TraceMeans]:
        """The means that tables show, by heading: of each group, and of all unless one group is all."""
        of_one = len(self.groups) == 1 and all(each.case.group is not None for each in self.traced)
        means = self.groups if of_one else {**self.groups, "all": self.of_all}
        return {f"{name} ({each.n}) · {_metric_text(each)}": each for name, each in means.items()}

    @property
    def rows(self) -> tuple[str, ...]:
        """The labels of the rows or blocks, the lowest first."""
        return self.traced[0].trace.rows

    @property
    def sigma(self) -> float | None:
        """The standard deviation of the noise; None without noise."""
        return self.traced[0].trace.sigma

    @property
    def tokens(self) -> list[str | None] | None:
        """The token of each column that is patched, None where it differs; None for attention heads."""
        if self.options.what == "head":
            return None
        columns = zip(*(each.trace.ids for each in self.traced), strict=True)
        return [self.texts[ids[0]] if len(set(ids)) == 1 else None for ids in columns]

    @property
    def heads(self) -> list[str]:
        """The heads of the columns: the token that all prompts have there, else `@3`; or attention heads."""
        if self.tokens is None:
            return [str(head) for head in range(self.of_all.counts.shape[1])]
        return [f"@{column}" if token is None else token for column, token in enumerate(self.tokens)]

    @property
    def title(self) -> str:
        """What was patched, and how it was measured, on one line."""
        metric = _METRIC[self.options.metric]
        return f"mean share recovered {patched_text(self.options)} · {metric}"

    @property
    def corruption(self) -> str:
        """How the prompts were corrupted, and what the errors are, on one line."""
        how = "each prompt's own second one" if self.sigma is None else noise_text(self.options, self.sigma)
        return f"corrupted: {how} · ±: standard error over the prompts"


def _metric_text(means: TraceMeans) -> str:
    """Return the metric of the clean and the corrupted runs as text."""

    def text(mean: Mean) -> str:
        error = float(mean.sem)
        return fixed_text(float(mean.mean), 3) + ("" if math.isnan(error) else f" ±{fixed_text(error, 3)}")

    return f"clean {text(means.clean)}, corrupted {text(means.corrupted)}"


def _entries(means: TraceMeans) -> list[list[tuple[str, str]]]:
    """Return the shares and their standard errors as text, `[rows][cols]`, the top of the network first."""
    shares, errors = means.recovered.mean[::-1].tolist(), means.recovered.sem[::-1].tolist()
    return [
        [
            (share_text(share), "" if math.isnan(error) else f"±{fixed_text(error, 2)}")
            for share, error in zip(*row, strict=True)
        ]
        for row in zip(shares, errors, strict=True)
    ]


def set_trace_table(traced: TracedSet, width: int | None = None) -> Text:
    """Return the mean recovered shares as tables of text, one for each group, the top of the network first.

    Args:
        traced: the traces.
        width: the width of a line in terminal cells, beyond which columns go below; None for no limit.
    """
    parts = [Text(wrapped(traced.title, width), "bold"), Text()]
    for title, means in traced.shown.items():
        parts.append(Text(wrapped(printable(title), width), "bold"))
        entries = [[[entry] for entry in row] for row in _entries(means)]
        parts += grid(traced.rows[::-1], traced.heads, entries, width, words=False)
    for caption in (traced.corruption, set_summary(traced.source, traced.prompts)):
        parts.append(Text(wrapped(caption, width), "dim"))
    return Text("\n").join(parts).append("\n")


def set_trace_markdown(traced: TracedSet, command: str) -> str:
    """Return the mean recovered shares as Markdown tables, the source, and the command that repeats them."""
    heads = [code_span(head) for head in traced.heads]
    lines = [f"**{number_text(traced.title)}**", ""]
    for title, means in traced.shown.items():
        rows = [[number_text(" ".join(filter(None, entry))) for entry in row] for row in _entries(means)]
        lines += [code_span(title), "", *markdown_table(heads, traced.rows[::-1], rows), ""]
    lines += [f"{number_text(traced.corruption)}.", ""]
    source = said(traced.source, f"prompts {code_span(traced.prompts)}")
    return "\n".join([*lines, source, "", "```sh", command, "```", ""])


def set_trace_json(traced: TracedSet) -> str:
    """Return the traces of a set as one line of JSON, ASCII alone.

    `recovered`, `raw` and `counts` are `[rows][columns]`, from the lowest row on, or `[blocks][heads]`; null
    where nothing was patched.
    """
    content = {
        "version": VERSION,
        **source_facts(traced.source),
        "prompts": traced.prompts,
        "skipped": traced.skipped,
        **option_facts(traced.options, traced.sigma),
        "rows": list(traced.rows),
        "tokens": traced.tokens,
        "cases": [_case(each, traced.texts) for each in traced.cases],
        "means": _means(traced.of_all),
        "groups": {name: _means(means) for name, means in traced.groups.items()},
    }
    return json.dumps(content, allow_nan=False) + "\n"


def _case(each: CaseTrace | FailedCase, texts: TokenText) -> dict[str, Any]:
    case = each.case
    about = {
        "number": case.number,
        "prompt": case.text,
        "corrupted_prompt": case.corrupted,
        **messages_of(case),
        "target": case.target,
        "group": case.group,
    }
    if isinstance(each, FailedCase):
        return {**about, "error": each.reason}
    trace = each.trace
    return {
        **about,
        "error": None,
        "token": token_facts(trace.options.token, texts),
        "minus": token_facts(trace.options.minus, texts),
        "token_ids": list(trace.ids),
        "clean": trace.clean,
        "corrupted": trace.corrupted,
        "recovered": numbers(trace.recovered),
    }


def _means(means: TraceMeans) -> dict[str, Any]:
    return {
        "n": means.n,
        "counts": means.counts.tolist(),
        "clean": _mean(means.clean),
        "corrupted": _mean(means.corrupted),
        "recovered": _mean(means.recovered),
        "raw": _mean(means.raw),
    }


def _mean(mean: Mean) -> dict[str, Any]:
    return {"mean": numbers(np.asarray(mean.mean)), "sem": numbers(np.asarray(mean.sem))}


def set_trace_csv(traced: TracedSet) -> Iterator[str]:
    """Yield the means as CSV, a line for each group and patch; the group of all prompts is empty."""
    means: list[tuple[str | None, TraceMeans]] = [(None, traced.of_all), *traced.groups.items()]
    yield from csv_pieces((_tidy(traced, *of_group) for of_group in means), traced.source)


def _tidy(traced: TracedSet, group: str | None, means: TraceMeans) -> dict[str, Column]:
    rows, columns = means.counts.shape
    places = np.tile(np.arange(columns, dtype=np.int32), rows)
    is_heads = traced.tokens is None

    table: dict[str, Column] = {
        "group": np.full(rows * columns, group, object),
        "row": np.repeat(np.array(traced.rows, object), columns),
        "head" if is_heads else "column": places,
        **({} if traced.tokens is None else {"input_token": np.tile(np.array(traced.tokens, object), rows)}),
        "n": means.counts.ravel().astype(np.int32),
        "recovered": means.recovered.mean.ravel(),
        "stderr": means.recovered.sem.ravel(),
        "raw": means.raw.mean.ravel(),
        "raw_stderr": means.raw.sem.ravel(),
    }
    facts = {**option_facts(traced.options, traced.sigma), "prompts": printable(traced.prompts)}
    return table | everywhere(facts, rows * columns, beside=table)
