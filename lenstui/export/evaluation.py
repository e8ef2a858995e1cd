"""An evaluation of lenses as JSON, which is a contract, and as tidy data: CSV and Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from lenstui.evaluation.measures import MEASURES, Measure
from lenstui.export.csv_text import csv_pieces
from lenstui.export.json_contract import keys_with, without_nan
from lenstui.export.tidy import Column, row_index
from lenstui.opening.source import Source, source_facts
from lenstui.readout.cells import row_labels
from lenstui.support.printable import printable
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.evaluation.evaluate import Quality

VERSION = 1


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation, and what is needed to write it down.

    Attributes:
        qualities: the qualities by lens, under their keys; at least one.
        source: the model and lenses.
        data: the files that were read, as the user named them.
        stopped: whether it was stopped before the end of what was to be read.
    """

    qualities: Mapping[str, Quality]
    source: Source
    data: tuple[str, ...]
    stopped: bool = False

    @property
    def first(self) -> Quality:
        """One of the qualities: all have the same tokens, blocks, rows and last row."""
        return next(iter(self.qualities.values()))

    @property
    def rows(self) -> tuple[str, ...]:
        """The labels of the rows, `emb` first."""
        return row_labels(len(self.first.kl) - 1)

    @property
    def of_model(self) -> Iterator[tuple[Measure, float, float | None]]:
        """The measures of the model's own output, each with its value and, if any, its standard error."""
        for measure in MEASURES:
            if measure.of_model:
                errors = self.first.sem.get(measure.name)
                yield measure, self.first.of(measure.name)[-1], None if errors is None else errors[-1]


def evaluation_json(of: Evaluated) -> str:
    """Return an evaluation as one line of JSON, ASCII alone.

    Lists are by row, `emb` first; a lens that was not evaluated is null. Tokens whose logits are not finite
    count in no mean: `left_out` is their number, of all `tokens`. A mean without tokens is null, and so is a
    measure that was not taken.
    """
    source = of.source
    content = {
        "version": VERSION,
        "lenstui": __version__,
        "model": source.model,
        "revision": source.revision,
        "adapter": None if source.adapter is None else source.adapter.facts,
        "dtype": source.dtype,
        "lens": source.lens,
        "lens_files": {each.key: each.facts for each in source.lenses},
        "data": list(of.data),
        "tokens": of.first.tokens,
        "blocks": of.first.blocks,
        "stopped": of.stopped,
        "rows": list(of.rows),
        "final": _of_model(of),
        **{name: _numbers(of.qualities.get(name)) for name in keys_with(of.qualities)},
    }
    return json.dumps(content, allow_nan=False) + "\n"


def _of_model(of: Evaluated) -> dict[str, float | None]:
    """Return the measures of the model itself, and their standard errors."""
    numbers: dict[str, float | None] = {}
    for measure, value, error in of.of_model:
        numbers[measure.name] = without_nan([value])[0]
        numbers[f"{measure.name}_sem"] = None if error is None else without_nan([error])[0]
    return numbers


def _numbers(quality: Quality | None) -> dict[str, Any] | None:
    if quality is None:
        return None
    numbers: dict[str, Any] = {}
    for measure in MEASURES:
        numbers[measure.name] = without_nan(quality.of(measure.name)) or None
        numbers[f"{measure.name}_sem"] = without_nan(quality.sem.get(measure.name, ())) or None
    return numbers | {"left_out": list(quality.left_out) or [0] * len(quality.kl)}


def evaluation_csv(of: Evaluated) -> Iterator[str]:
    """Yield an evaluation as CSV, a line for each lens and row, in the format of `csv_text`."""
    columns = tidy_evaluation(of)
    data = np.full(len(columns["lens"]), printable(", ".join(of.data)), object)
    yield from csv_pieces([columns | {"data": data}], of.source)


def write_evaluation_parquet(of: Evaluated, file: IO[bytes]) -> None:
    """Write an evaluation as Parquet, a row for each lens and row, its source in the file's metadata."""
    from lenstui.export.parquet_file import write_groups

    facts = source_facts(of.source) | {"data": list(of.data), "stopped": of.stopped}
    write_groups([tidy_evaluation(of)], facts, file)


def tidy_evaluation(of: Evaluated) -> dict[str, Column]:
    """Return the variables by name, an observation for each lens and row; NaN for what there is not."""
    rows = of.rows
    qualities = list(of.qualities.values())

    def by_row(values: Iterable[tuple[float, ...]]) -> Column:
        return np.concatenate([each or (np.nan,) * len(rows) for each in values]).astype(np.float64)

    columns: dict[str, Column] = {
        "lens": np.repeat(np.array(list(of.qualities), object), len(rows)),
        "row": np.tile(np.array(rows, object), len(qualities)),
        "row_index": np.tile(np.array([row_index(row) for row in rows], np.int32), len(qualities)),
        "tokens": np.full(len(rows) * len(qualities), of.first.tokens, np.int64),
        "blocks": np.full(len(rows) * len(qualities), of.first.blocks, np.int64),
        "left_out": np.concatenate([each.left_out or (0,) * len(rows) for each in qualities]),
    }
    for measure in MEASURES:
        columns[measure.name] = by_row(each.of(measure.name) for each in qualities)
        columns[f"{measure.name}_sem"] = by_row(each.sem.get(measure.name, ()) for each in qualities)
    return columns
