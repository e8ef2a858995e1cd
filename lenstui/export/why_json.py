"""Why a cell says what it says, as JSON and CSV. The JSON is a contract: a change to it changes `VERSION`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from lenstui.causal.contributions import Component, Contributions
from lenstui.export.csv_text import csv_pieces
from lenstui.export.json_contract import numbers
from lenstui.export.tidy import Column, turn_columns
from lenstui.export.why import Why
from lenstui.opening.source import facts
from lenstui.readout.cells import FloatArray

VERSION = 1


def why_json(why: Why) -> str:
    """Return all contributions in a cell as one line of JSON, ASCII alone.

    `components` add up to `logit`, but for `error`; `heads` of a block and its `attention_bias` to its
    attention; `sources` of a head to the head. A block's reason stands under `no_heads`, `no_sources` or
    `no_neurons`. `neurons` and `growth` are null unless asked for.

    Args:
        why: the contributions.
    """
    of = why.contributions
    content = {
        "version": VERSION,
        **facts(why.source, why.prompt),
        "tokens": [why.texts[token] for token in of.ids],
        "token_ids": list(of.ids),
        "row": of.row,
        "column": of.column,
        "token": _token(why, of.token),
        "minus": None if of.minus is None else _token(why, of.minus),
        "lens": of.lens,
        "logit": of.logit,
        "components": [_plain(component) for component in of.components],
        "heads": [
            {
                **_plain(head),
                "sources": _by_column(of.sources[of.head(head.name)]),
                "attention": _by_column(of.weights[of.head(head.name)]),
            }
            for head in of.named_heads
        ],
        "attention_bias": numbers(of.attention_bias),
        "neurons": [_plain(neuron) for neuron in of.named_neurons] if of.neurons else None,
        "no_heads": list(of.no_heads),
        "no_sources": list(of.no_sources),
        "no_neurons": list(of.no_neurons),
        "rounding": of.rounding,
        "rounding_limit": of.rounding_limit,
        "error": of.error,
        "growth": _growth(of),
    }
    return json.dumps(content, allow_nan=False) + "\n"


def _token(why: Why, token: int) -> dict[str, Any]:
    return {"id": token, "text": why.texts[token]}


def _plain(component: Component) -> dict[str, Any]:
    return {"name": component.name, "contribution": component.contribution}


def _by_column(values: FloatArray) -> list[Any] | None:
    return None if np.isnan(values).any() else numbers(values)


def _growth(of: Contributions) -> dict[str, Any] | None:
    if of.growth is None:
        return None
    return {
        "rows": list(of.growth.rows),
        "logits": numbers(of.growth.logits),
        "sums": numbers(of.growth.sums),
    }


def why_csv(why: Why) -> Iterator[str]:
    """Yield all contributions in a cell as CSV, in pieces: one line for each.

    `what` is `component`, `head`, `source` (of a head, with its column and attention), `neuron` or `row`,
    whose contribution is the sum of all up to that row, beside the lens's own logit there.

    Args:
        why: the contributions.
    """
    of = why.contributions
    lines = list(_lines(of))
    count = len(lines)

    def all_of(value: object, dtype: type = object) -> Column:
        return np.full(count, value, dtype)

    sources = np.array([line[3] for line in lines], np.int32)
    columns: dict[str, Column] = {
        "what": np.array([line[0] for line in lines], object),
        "name": np.array([line[1] for line in lines], object),
        "contribution": np.array([line[2] for line in lines], np.float32),
        "source_column": sources,
        "source_token": np.array([why.texts[of.ids[at]] if at >= 0 else "" for at in sources], object),
        **{
            f"source_{name}": np.where(sources < 0, "" if name == "role" else -1, column[sources])
            for name, column in turn_columns(why.prompt).items()
        },
        "attention": np.array([line[4] for line in lines], np.float32),
        "row_logit": np.array([line[5] for line in lines], np.float32),
        "lens": all_of(of.lens),
        "row": all_of(of.row),
        "column": all_of(of.column, np.int32),
        "token": all_of(why.texts[of.token]),
        "token_id": all_of(of.token, np.int32),
        "minus": all_of("" if of.minus is None else why.texts[of.minus]),
        "minus_id": all_of(-1 if of.minus is None else of.minus, np.int32),
        "logit": all_of(of.logit, np.float32),
        "rounding": all_of(of.rounding, np.float32),
        "error": all_of(of.error, np.float32),
    }
    return csv_pieces([columns], why.source, why.prompt.text)


_Line = tuple[str, str, float, int, float, float]
"""Kind, name, contribution, source column or -1, attention, logit of a row; NaN where there is none."""


def _lines(of: Contributions) -> Iterator[_Line]:
    none = float("nan")
    for what, components in (
        ("component", of.components),
        ("head", of.named_heads),
        ("neuron", of.named_neurons),
    ):
        for each in components:
            yield what, each.name, each.contribution, -1, none, none
    for head in of.named_heads:
        block, number = of.head(head.name)
        pairs = zip(of.sources[block, number].tolist(), of.weights[block, number].tolist(), strict=True)
        for column, (share, weight) in enumerate(pairs):
            if not math.isnan(share) and column <= of.column:
                yield "source", head.name, share, column, weight, none
    if of.growth is not None:
        for row, logit, total in zip(of.growth.rows, of.growth.logits, of.growth.sums, strict=True):
            yield "row", row, float(total), -1, none, float(logit)
