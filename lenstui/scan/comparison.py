"""How far two sides are apart over all records of a scan: means, shares and counts by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lenstui.scan.columns import of_lens
from lenstui.scan.matches import ScanRecords, by_row, counts_of_rows, record_tables, sums_by_row
from lenstui.support.errors import LensError, first_line
from lenstui.texts.bootstrap import BlockSums, bootstrap_error

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Means over positions with their standard errors, a number each or `[rows]`.

    Attributes:
        mean: the mean over the positions that have a finite number; NaN for none.
        sem: its standard error, by bootstrap of runs of blocks; NaN for a single block.
    """

    mean: Array
    sem: Array


@dataclass(frozen=True, slots=True)
class PairComparison:
    """How far the first side is from the second through a lens, by row, `emb` first.

    Attributes:
        kl: KL(first ‖ second), nats.
        same_top1: the share of positions whose likeliest tokens are the same.
        parts: how many positions part in each row: from it on their likeliest tokens differ.
        joins: how many join in each row: from it on they are the same.
    """

    kl: Estimate
    same_top1: Estimate
    parts: npt.NDArray[np.int64]
    joins: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScanComparison:
    """How far the first side of a scan is from the second.

    Attributes:
        positions: the number of positions.
        blocks: the number of blocks.
        kl: KL(first ‖ second) of the final distributions, nats; None for two lenses of one model.
        parted: the share of positions whose likeliest final tokens differ; None likewise.
        pairs: what is known by row, by the key of the first side's lens.
    """

    positions: int
    blocks: int
    kl: Estimate | None
    parted: Estimate | None
    pairs: Mapping[str, PairComparison]


def compare_sides(records: ScanRecords) -> ScanComparison | None:
    """Return how far the two sides are apart, in one pass over the records; None where there is no second.

    Memory does not grow with their number.

    Raises:
        LensError: if a part is damaged.
    """
    manifest = records.manifest
    if (second := manifest.second) is None:
        return None
    rows, keys = len(manifest.rows), list(second.lenses)
    sums, counts = BlockSums(), np.zeros((len(keys), 2, rows), np.int64)
    blocks = 0
    try:
        for table in _blocks(records):
            blocks += 1
            sums.add(np.concatenate([*_sums_of(table, keys, rows, finals=second.is_model)], axis=-1))
            counts += _counts_of(table, keys, rows)
    except (pa.ArrowException, OSError) as error:
        raise LensError(f"The records in {records.folder} cannot be read: {first_line(error)}.") from error
    stacked = sums.stacked()
    means, errors = _ratio(stacked.sum(axis=0)), bootstrap_error(stacked, _ratio)

    def estimates() -> Iterator[Estimate]:
        begin = 0
        for size in [1, 1] * second.is_model + [rows, rows] * len(keys):
            run = slice(begin, begin + size)
            yield Estimate(means[run], errors[run])
            begin += size

    each = estimates()
    kl, parted = (next(each), next(each)) if second.is_model else (None, None)
    pairs = {
        key: PairComparison(next(each), next(each), *count) for key, count in zip(keys, counts, strict=True)
    }
    return ScanComparison(records.count, blocks, kl, parted, pairs)


def _blocks(records: ScanRecords) -> Iterator[pa.Table]:
    """Yield the records of one block after the other, with the columns that are compared."""
    second = records.manifest.second
    assert second is not None
    names = ["block", *(["final_id", "against_final_id", "against_kl"] if second.is_model else [])]
    names += [
        of_lens(key, name) for key in second.lenses for name in ("against_kl", "same_top1", "parts", "joins")
    ]
    rest: pa.Table | None = None
    for more in record_tables(records, names):
        rest = more if rest is None else pa.concat_tables([rest, more])
        starts = np.flatnonzero(np.diff(rest["block"].to_numpy())) + 1
        begin = 0
        for stop in starts.tolist():
            yield rest.slice(begin, stop - begin)
            begin = stop
        rest = rest.slice(begin)
    if rest is not None and len(rest):
        yield rest


def _sums_of(table: pa.Table, keys: list[str], rows: int, *, finals: bool) -> Iterator[Array]:
    """Yield sums and numbers of what is averaged, `[2, 1]` or `[2, rows]`, of the records of a block."""
    if finals:
        yield sums_by_row(_numbers(table["against_kl"])[:, None])
        one, other = _numbers(table["final_id"]), _numbers(table["against_final_id"])
        yield sums_by_row(np.where(np.isnan(one) | np.isnan(other), np.nan, one != other)[:, None])
    for key in keys:
        for name in ("against_kl", "same_top1"):
            yield sums_by_row(by_row(table[of_lens(key, name)], rows))


def _numbers(column: pa.ChunkedArray) -> Array:
    """Return a column of numbers `[positions]`, what is missing as NaN."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def _counts_of(table: pa.Table, keys: list[str], rows: int) -> npt.NDArray[np.int64]:
    """Return how many positions part and join in each row, `[lenses, 2, rows]`."""
    columns = [table[of_lens(key, name)] for key in keys for name in ("parts", "joins")]
    counted = [counts_of_rows(column, rows) for column in columns]
    return np.array(counted, np.int64).reshape(len(keys), 2, rows)


def _ratio(sums: Array) -> Array:
    """Return means from sums and numbers `[…, 2, n]`, NaN where the number is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = sums[..., 0, :] / sums[..., 1, :]
    return found
