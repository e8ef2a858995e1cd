"""What a condition finds among the records of a scan: matches, counts, and means by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute, dataset

from lenstui.scan.columns import ALWAYS, BY_ROW, PAIR_BY_ROW, Column, of_lens
from lenstui.scan.condition import nearest_names, parse_condition
from lenstui.scan.folder import Manifest, check_columns, parts_of, read_manifest
from lenstui.support.errors import LensError, first_line
from lenstui.support.typed_path import is_folder

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_COUNTED = ("next", "final")  # columns of tokens that are counted
_COUNTED_ROWS = ("crystallization", "best_row")
_COUNTED_PAIR_ROWS = ("parts", "joins")  # where the lens is compared


@dataclass(frozen=True, slots=True)
class ScanRecords:
    """The records in a folder, of which no more than a few are in memory.

    Attributes:
        folder: the folder.
        manifest: what they were made of.
        files: the parts, in the order of the text.
        count: the number of records.
    """

    folder: Path
    manifest: Manifest
    files: tuple[Path, ...]
    count: int

    @property
    def columns(self) -> list[Column]:
        """The columns of the records."""
        return self.manifest.columns


@dataclass(frozen=True, slots=True)
class Matches:
    """What a condition finds.

    Attributes:
        condition: the condition; empty for all records.
        lens: the key of the lens by which matches are counted.
        sort: the column that they are sorted by, with ` desc` behind it; empty for the order of the text.
        count: the number of matches.
        of: the number of all records that were searched.
        top: the first of them in that order, as plain values by column.
        tokens: how often each token is the next and the final one of a match, the commonest first, by column.
        rows: how many matches have each row, from `emb` on, by column of the lens.
        means: the means by row of the matches and of the rest, `[rows]` each, by lens and column; NaN for
            none. What is missing or not finite counts in neither.
    """

    condition: str
    lens: str
    sort: str
    count: int
    of: int
    top: Sequence[Mapping[str, Any]]
    tokens: Mapping[str, Sequence[tuple[str, int]]]
    rows: Mapping[str, Sequence[int]]
    means: Mapping[str, Mapping[str, tuple[Array, Array]]]


def open_records(folder: Path) -> ScanRecords:
    """Return the records in a folder, of a scan that is finished or not.

    Raises:
        LensError: if it holds none, or a part is damaged or missing.
    """
    if not is_folder(folder):
        raise LensError(f"There is no folder {folder}: make one with --data FILE.")
    if (manifest := read_manifest(folder)) is None:
        raise LensError(f"{folder} holds no scan: make one with --data FILE.")
    parts = parts_of(folder)
    if not parts:
        raise LensError(f"The scan in {folder} has no records yet: go on with --resume.")
    for part in parts:
        check_columns(part, manifest)
    return ScanRecords(
        folder, manifest, tuple(part.path for part in parts), sum(part.records for part in parts)
    )


def record_tables(records: ScanRecords, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the records in their order, a few at a time.

    Args:
        records: the records.
        columns: the names of the columns to read; None for all.

    Raises:
        LensError: if one lacks what no record lacks.
        pa.ArrowException, OSError: if a part cannot be read.
    """
    every = dataset.dataset(list(records.files), format="parquet")
    for batch in every.to_batches(columns=columns, use_threads=False):
        for name in ALWAYS:
            if name in batch.schema.names and batch[name].null_count:
                wrong = f"The records in {records.folder} are damaged, as some have no {name}"
                raise LensError(f"{wrong}: scan the text anew.")
        yield pa.Table.from_batches([batch])


def find_matches(
    records: ScanRecords, condition: str, *, lens: str, sort: str = "", top: int = 20
) -> Matches:
    """Return what a condition finds, in one pass over the records, with few of them in memory.

    Args:
        records: as `search` has it.
        condition: likewise.
        lens: likewise.
        sort: likewise.
        top: likewise.

    Raises:
        LensError: as `search` does.
    """
    (*_, matches) = search(records, condition, lens=lens, sort=sort, top=top, step=records.count)
    return matches


def search(
    records: ScanRecords, condition: str, *, lens: str, sort: str = "", top: int = 20, step: int = 1 << 17
) -> Iterator[Matches]:
    """Yield what a condition finds as far as the records are searched, and in the end in all of them.

    Args:
        records: the records.
        condition: the condition, in the language of `condition`; empty for all records.
        lens: the key of the lens by which matches are counted.
        sort: the column to sort by, with ` desc` behind it for the greatest first; what is missing comes
            last, and equal ones are in the order of the text, in which all are where none is named.
        top: the number of matches to keep.
        step: how many records are searched between two of them, about.

    Raises:
        LensError: if the condition or the column is wrong, or a part is damaged.
    """
    expression = parse_condition(condition, records.columns) if condition else None
    order = sort_order(sort, records.columns)
    tally = _Tally(records.manifest, lens)
    plain = [column.name for column in records.columns if column.type != "rows"]
    best: pa.Table | None = None

    def matches(of: int) -> Matches:
        return Matches(
            condition=condition,
            lens=lens,
            sort=sort,
            count=tally.count,
            of=of,
            top=[] if best is None else best.to_pylist(),
            tokens=tally.tokens(),
            rows={name: counts.tolist() for name, counts in tally.rows.items()},
            means=tally.means(),
        )

    searched = yielded = 0
    try:
        for every in record_tables(records):
            found = _places(every, expression)
            tally.add(every, found)
            if len(found):
                best = _best(best, every.select(plain), found, order, top)
            searched += len(every)
            if searched - yielded >= step and searched < records.count:
                yielded = searched
                yield matches(searched)
    except (pa.ArrowException, OSError) as error:
        raise LensError(f"The records in {records.folder} cannot be read: {first_line(error)}.") from error
    yield matches(records.count)


def sort_order(sort: str, columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Return the columns to sort by, each with its direction, in words of pyarrow.

    Args:
        sort: the name of a column, perhaps with ` desc` or ` asc` behind it; empty for the order of the text.
        columns: the columns of the records.

    Raises:
        LensError: if there is no such column.
    """
    if not sort:
        return [("position", "ascending")]
    name, _, direction = sort.strip().rpartition(" ")
    if direction not in {"asc", "desc"} or not name:
        name, direction = sort.strip(), "asc"
    name = name.strip().strip("`")
    known = [column.name for column in columns if column.type != "rows"]
    if name not in known:
        raise LensError(f"There is no column {name} to sort by: {nearest_names(name, known)}.")
    return [(name, "descending" if direction == "desc" else "ascending"), ("position", "ascending")]


def _places(every: pa.Table, expression: Any) -> pa.Array:
    """Return the places of the records for which an expression is true; for None those of all."""
    if expression is None:
        return pa.array(np.arange(len(every)))
    is_found = dataset.dataset(every).to_table(columns={"found": expression}, use_threads=False)["found"]
    return compute.indices_nonzero(is_found.fill_null(False))


def _best(
    before: pa.Table | None, every: pa.Table, found: pa.Array, order: list[tuple[str, str]], top: int
) -> pa.Table:
    """Return the first `top` of a table of records, and of those at some places in another."""
    keys = every.select(list(dict(order))).take(found)  # each column once
    more = every.take(found.take(compute.sort_indices(keys, order)[:top]))  # texts of no more than these
    if before is None:
        return more
    both = pa.concat_tables([before, more])
    return both.take(compute.sort_indices(both, order)[:top])


def by_row(column: pa.ChunkedArray, rows: int) -> Values:
    """Return a column of lists by row as an array `[positions, rows]`, float32, what is missing as NaN.

    Raises:
        pa.ArrowInvalid: if a list is missing, or of another length.
    """
    if not compute.all(compute.equal(compute.list_value_length(column), rows).fill_null(False)).as_py():
        raise pa.ArrowInvalid(f"not every list has {rows} numbers")
    flat: Values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, rows)


def counts_of_rows(column: pa.ChunkedArray, rows: int) -> npt.NDArray[np.int64]:
    """Return how often each row is in a column of rows, `[rows]`; what is missing does not count.

    Raises:
        pa.ArrowInvalid: if there is a row that the model does not have.
    """
    places = column.drop_null().to_numpy() + 1  # `emb` is -1
    if len(places) and not 0 <= places.min() <= places.max() < rows:
        raise pa.ArrowInvalid(f"a row is not one of {rows}")
    return np.bincount(places, minlength=rows)


def sums_by_row(values: Values | Array) -> Array:
    """Return sum and number of the finite values `[positions, …]`, `[2, …]`."""
    finite = np.isfinite(values)
    return np.stack([np.where(finite, values, 0).sum(axis=0, dtype=np.float64), finite.sum(axis=0)])


class _Tally:
    """Counts of matches, and sums by row of them and of all records."""

    def __init__(self, manifest: Manifest, lens: str) -> None:
        self._lens = lens
        self._size = len(manifest.rows)
        self.count = 0
        self._tokens: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
        pairs = () if manifest.second is None else manifest.second.lenses
        counted = (*_COUNTED_ROWS, *(_COUNTED_PAIR_ROWS if lens in pairs else ()))
        self.rows = {name: np.zeros(self._size, np.int64) for name in counted}
        # Of the matches and of all records: the sum and the number of each row, [2, 2, rows].
        self._sums = {
            (key, name): np.zeros((2, 2, self._size))
            for key in manifest.lenses
            for name in (*BY_ROW, *(PAIR_BY_ROW if key in pairs else ()))
        }

    def add(self, every: pa.Table, found: pa.Array) -> None:
        """Add records, and those of them that match, by their places."""
        self.count += len(found)
        for name, counter in self._tokens.items():
            counts = compute.value_counts(every[name].take(found).drop_null())
            # As a dictionary, which is added and does not count the pairs.
            counter.update(dict(zip(*(field.to_pylist() for field in counts.flatten()), strict=True)))
        for name in self.rows:
            self.rows[name] += counts_of_rows(every[of_lens(self._lens, name)].take(found), self._size)
        at = found.to_numpy()
        for lens, name in self._sums:
            values = by_row(every[of_lens(lens, name)], self._size)
            self._sums[lens, name] += np.stack([sums_by_row(values[at]), sums_by_row(values)])

    def tokens(self) -> dict[str, list[tuple[str, int]]]:
        """Return how often each token is in a column, the commonest first, by column."""
        return {name: counter.most_common() for name, counter in self._tokens.items()}

    def means(self) -> dict[str, dict[str, tuple[Array, Array]]]:
        """Return the means by row of the matches and of the rest, by lens and column."""
        means: dict[str, dict[str, tuple[Array, Array]]] = {}
        for (lens, name), (found, every) in self._sums.items():
            rest = every - found
            with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
                of_both = (found[0] / found[1], np.where(rest[1] > 0, rest[0], 0) / rest[1])
            means.setdefault(lens, {})[name] = of_both
        return means
