"""What is patched, metrics and patched cells in the words of the screen, and the edits that do the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lenstui.edits.edit import Columns, Component, Patch, Text
from lenstui.edits.trace_options import MetricName, What
from lenstui.model.rows import meaning_of
from lenstui.support.fixed_text import fixed_text

if TYPE_CHECKING:
    from lenstui.export.trace import Traced

WHAT_WORDS: Mapping[What, str] = {
    "resid": "residual stream",
    "attn": "attention",
    "mlp": "MLP",
    "head": "attention heads",
}
METRIC_WORDS: Mapping[MetricName, str] = {
    "logit-diff": "logit difference",
    "logprob": "log-probability",
    "kl": "−KL",
}
MAP_WORDS: Mapping[What, str] = {
    "resid": "residual stream: rows × columns",
    "attn": "attention: blocks × columns",
    "mlp": "MLP: blocks × columns",
    "head": "blocks × attention heads",
}


def cell_text(traced: Traced, row: int, column: int) -> str:
    """Return a patch of a trace in words, with its numbers.

    Args:
        traced: the trace.
        row: the index of the row.
        column: the column, or the number of the attention head.
    """
    of = traced.trace
    place = _place(traced, row, column)
    if np.isnan(of.recovered[row, column]):
        return f"{place} · {'not patched yet' if row >= of.done else _NO_COUNTERPART}"
    recovered = fixed_text(float(of.recovered[row, column]), 3)
    if of.stderr is not None:
        recovered += f" ± {fixed_text(float(of.stderr[row, column]), 3)}"
    raw = fixed_text(float(of.raw[row, column]), 3)
    about = "about " if of.options.approximate else ""
    return f"{place} · recovered {about}{recovered} · {METRIC_WORDS[of.options.metric]} {about}{raw}"


_NO_COUNTERPART = "nothing to patch in: the clean prompt has no such column, or the block no such part"


def _place(traced: Traced, row: int, column: int) -> str:
    of, options = traced.trace, traced.trace.options
    if options.what == "head":
        at = "" if options.column is None else f" in column {options.column}"
        return f"attention head {of.rows[row]}.{column}{at}"
    here = f'column {column} "{traced.texts[of.ids[column]]}"'
    if options.what == "resid":
        return f"row {of.rows[row]} · {meaning_of(of.rows[row], of.rows[-1])} · {here}"
    blocks = options.blocks(row, len(of.rows))
    ends = "-".join(dict.fromkeys(map(str, (blocks[0], blocks[-1]))))
    return f"{WHAT_WORDS[options.what]} of block{'s' * (len(blocks) > 1)} {ends} · {here}"


def patches_of(traced: Traced, row: int, column: int) -> tuple[Patch, ...]:
    """Return the edits of the corrupted run that patch the same as a trace does in one place.

    Args:
        traced: the trace.
        row: the index of the row.
        column: the column, or the number of the attention head.
    """
    options, prompt = traced.trace.options, Text(traced.clean.text)
    at = options.column if options.what == "head" else column
    columns = None if at is None else Columns(((at, at),))
    match options.what:
        case "resid":
            components = [Component("stream", row - 1)]
        case "head":
            components = [Component("head", row, column)]
        case part:
            components = [Component(part, block) for block in options.blocks(row, len(traced.trace.rows))]
    return tuple(Patch(component, prompt, columns) for component in components)
