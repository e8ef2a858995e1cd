"""A causal trace as a table of text, Markdown, JSON and CSV. The JSON is a contract: `VERSION`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from lenstui.edits.trace import Trace
from lenstui.edits.trace_options import TraceOptions
from lenstui.export.csv_text import csv_pieces
from lenstui.export.json_contract import numbers
from lenstui.export.markdown import code_span, markdown_table, number_text, prompt_said, said
from lenstui.export.table import summary
from lenstui.export.text_width import clip, column_groups, wrapped
from lenstui.export.tidy import Column, TokenText, turn_columns
from lenstui.model.tokens import Prompt
from lenstui.opening.source import Source, source_facts, turn_facts, turns_text
from lenstui.readout.cells import FloatArray
from lenstui.support.fixed_text import NONE, fixed_text

VERSION = 1
_WIDEST = 10  # cells of a token above a column
_GAP = 2
_WHAT = {
    "resid": "the residual stream, by row and column",
    "attn": "what attention adds, by block and column",
    "mlp": "what the MLP adds, by block and column",
    "head": "attention heads, by block",
}


@dataclass(frozen=True, slots=True)
class Traced:
    """A trace, and what is needed to write it down.

    Attributes:
        trace: the trace.
        clean: the clean prompt.
        corrupted: the second prompt; None where noise is the corruption.
        source: the source of the numbers.
        texts: display texts of the tokens.
    """

    trace: Trace
    clean: Prompt
    corrupted: Prompt | None
    source: Source
    texts: TokenText

    @property
    def title(self) -> str:
        """What was patched, and how it is measured, on one line."""
        return f"recovered {patched_text(self.trace.options)} · {self.metric}"

    @property
    def metric(self) -> str:
        """The metric in words, and what it is in the clean and in the corrupted run."""
        of, texts = self.trace, self.texts
        token = "" if of.options.token is None else f'"{texts[of.options.token]}"'
        minus = "" if of.options.minus is None else f'"{texts[of.options.minus]}"'
        name = {
            "logit-diff": f"logit of {token} minus {minus}",
            "logprob": f"log-probability of {token}",
            "kl": "−KL from the clean run",
        }[of.options.metric]
        return f"{name}: clean {fixed_text(of.clean, 3)}, corrupted {fixed_text(of.corrupted, 3)}"

    @property
    def corruption(self) -> str:
        """How the prompt was corrupted, on one line."""
        options = self.trace.options
        if options.noise is None:
            return "corrupted: the second prompt"
        return f"corrupted: {noise_text(options, self.trace.sigma or 0)}"

    @property
    def heads(self) -> list[str]:
        """The heads of the columns: the corrupted prompt's tokens, or the numbers of attention heads."""
        if self.trace.options.what == "head":
            return [str(head) for head in range(self.trace.recovered.shape[1])]
        return [self.texts[token] for token in self.trace.ids]


def trace_table(traced: Traced, width: int | None = None) -> str:
    """Return the recovered shares as a table of text, the top of the network first.

    Args:
        traced: the trace.
        width: the width of a line in terminal cells, beyond which columns go below; None for no limit.
    """
    heads = [clip(head, _WIDEST) for head in traced.heads]
    texts = [[share_text(number) for number in row] for row in traced.trace.recovered[::-1].tolist()]
    labels = traced.trace.rows[::-1]
    sizes = [max(cell_len(head), *(len(row[column]) for row in texts)) for column, head in enumerate(heads)]
    label_width = max(map(len, labels))
    room = None if width is None else width - label_width - _GAP
    lines = [wrapped(traced.title, width), ""]
    for start, stop in column_groups(sizes, room, _GAP):
        some = range(start, stop)
        lines.append(_line(" " * label_width, [heads[i] for i in some], [sizes[i] for i in some]))
        lines += [
            _line(label.rjust(label_width), [row[i] for i in some], [sizes[i] for i in some])
            for label, row in zip(labels, texts, strict=True)
        ]
        lines.append("")
    turns = turns_text(traced.corrupted or traced.clean)
    captions = (traced.corruption, *filter(None, [turns]), summary(traced.source))
    lines += [wrapped(caption, width) for caption in captions]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _line(label: str, cells: Sequence[str], sizes: Sequence[int]) -> str:
    padded = (" " * (size - cell_len(cell)) + cell for cell, size in zip(cells, sizes, strict=True))
    return (" " * _GAP).join([label, *padded])


def patched_text(options: TraceOptions) -> str:
    """Return what a trace patches, and whether it really does, in words: `by patching …`."""
    how = "to first order by patching" if options.approximate else "by patching"
    at = "" if options.column is None else f" in column {options.column}"
    window = "" if options.window == 1 else f", {options.window} blocks together"
    return f"{how} {_WHAT[options.what]}{at}{window}"


def noise_text(options: TraceOptions, sigma: float) -> str:
    """Return how noise corrupts prompts, in words."""
    columns = "" if options.noise is None else options.noise.text
    return f"noise on columns {columns}, σ {sigma:.3g}, {options.samples} draws, seed {options.seed}"


def share_text(number: float) -> str:
    """Return a recovered share as text."""
    return NONE if math.isnan(number) else fixed_text(number, 2)


def trace_markdown(traced: Traced, command: str) -> str:
    """Return the recovered shares as a Markdown table, the source, and the command that repeats them."""
    heads = [code_span(head) for head in traced.heads]
    rows = [
        [number_text(share_text(number)) for number in row] for row in traced.trace.recovered[::-1].tolist()
    ]
    lines = [f"**{number_text(traced.title)}**", ""]
    lines += [
        *markdown_table(heads, traced.trace.rows[::-1], rows),
        "",
        f"{number_text(traced.corruption)}.",
        "",
    ]
    prompts = prompt_said(traced.clean, "clean")
    prompts += "" if traced.corrupted is None else f", {prompt_said(traced.corrupted, 'corrupted')}"
    return "\n".join([*lines, said(traced.source, prompts), "", "```sh", command, "```", ""])


def trace_json(traced: Traced) -> str:
    """Return a trace as one line of JSON, ASCII alone.

    `recovered`, `raw` and `stderr` are `[rows][columns]`, from the lowest row on, or `[blocks][heads]`; null
    where nothing was patched. Columns are those of the corrupted prompt, whose tokens are `tokens`.
    """
    of, options = traced.trace, traced.trace.options
    content = {
        "version": VERSION,
        **source_facts(traced.source),
        "prompt": traced.clean.text,
        "corrupted_prompt": None if traced.corrupted is None else traced.corrupted.text,
        **turn_facts(traced.clean),
        **_corrupted_turns(traced),
        **option_facts(options, of.sigma),
        "token": token_facts(options.token, traced.texts),
        "minus": token_facts(options.minus, traced.texts),
        "clean": of.clean,
        "corrupted": of.corrupted,
        "rows": list(of.rows),
        "tokens": [traced.texts[token] for token in of.ids],
        "token_ids": list(of.ids),
        "recovered": numbers(of.recovered),
        "raw": numbers(of.raw),
        "stderr": None if of.stderr is None else numbers(of.stderr),
    }
    return json.dumps(content, allow_nan=False) + "\n"


def _corrupted_turns(traced: Traced) -> dict[str, object]:
    """Return the turns of the corrupted prompt as plain values by name, if it is of turns."""
    if traced.corrupted is None:
        return {}
    facts = turn_facts(traced.corrupted)
    names = ("turns", "left_out_turns", "column_turns", "column_templates")
    return {f"corrupted_{name}": facts[name] for name in names if name in facts}


def option_facts(options: TraceOptions, sigma: float | None) -> dict[str, object]:
    """Return what a trace patches and how it is measured, as plain values by name, but for the tokens."""
    noisy = options.noise is not None
    return {
        "what": options.what,
        "metric": options.metric,
        "window": options.window,
        "column": options.column,
        "noise": None if options.noise is None else options.noise.text,
        "sigma": sigma,
        "samples": options.samples if noisy else None,
        "seed": options.seed if noisy else None,
        "approximate": options.approximate,
    }


def token_facts(token: int | None, texts: TokenText) -> dict[str, object] | None:
    """Return a token of a metric as plain values by name."""
    return None if token is None else {"id": token, "text": texts[token]}


def everywhere(facts: Mapping[str, object], lines: int, *, beside: Mapping[str, Column]) -> dict[str, Column]:
    """Return columns of a table that hold the same on every line.

    Args:
        facts: what they hold, by name.
        lines: the number of lines.
        beside: the table's other columns, whose names are theirs.
    """
    import numpy as np

    def text(value: object) -> object:
        return str(value).lower() if isinstance(value, bool) else value

    return {name: np.full(lines, text(value), object) for name, value in facts.items() if name not in beside}


def _text_of(token: int | None, texts: TokenText) -> str | None:
    return None if token is None else texts[token]


def trace_csv(traced: Traced) -> Iterator[str]:
    """Yield a trace as CSV, a line for each patch."""
    import numpy as np

    of = traced.trace
    rows, columns = of.recovered.shape
    is_heads = of.options.what == "head"

    def flat(values: FloatArray | None) -> Column:
        filled = np.full((rows, columns), np.nan, np.float32) if values is None else values
        return filled.astype(np.float32).ravel()

    places = np.tile(np.arange(columns, dtype=np.int32), rows)
    facts = {
        **option_facts(of.options, of.sigma),
        "token": _text_of(of.options.token, traced.texts),
        "minus": _text_of(of.options.minus, traced.texts),
        "clean": of.clean,
        "corrupted": of.corrupted,
        "corrupted_prompt": None if traced.corrupted is None else traced.corrupted.text,
    }
    group: dict[str, Column] = {
        "row": np.repeat(np.array(of.rows, object), columns),
        "head" if is_heads else "column": places,
    }
    if not is_heads:
        inputs = [traced.texts[of.ids[place]] for place in places.tolist()]
        group["input_token"] = np.array(inputs, object)
        turns = turn_columns(traced.corrupted or traced.clean)
        group |= {name: np.tile(column, rows) for name, column in turns.items()}
    group |= {"recovered": flat(of.recovered), "stderr": flat(of.stderr), "raw": flat(of.raw)}
    group |= everywhere(facts, rows * columns, beside=group)
    yield from csv_pieces([group], traced.source, traced.clean.text)
